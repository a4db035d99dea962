"""What an engine said, made fit for people: one line, no secret, the nearest known name."""

from __future__ import annotations

import re
from collections.abc import Iterable
from difflib import get_close_matches
from urllib.parse import parse_qsl, quote, quote_plus, unquote, unquote_plus

LONGEST = 300
SECRET = ("pass", "pwd", "secret", "token", "key", "credential")


def plain(error: BaseException | str, url: str = "") -> str:
    """The first line of what went wrong, at most 300 characters, with every secret of `url` blotted out."""
    text = error if isinstance(error, str) else _said(error)
    for secret in secrets(url):
        text = text.replace(secret, "***")
    lines = [line.strip() for line in text.splitlines() if line.strip()]
    first = lines[0] if lines else (type(error).__name__ if isinstance(error, BaseException) else "no reason given")
    return first if len(first) <= LONGEST else first[: LONGEST - 3] + "..."


def secrets(url: str) -> list[str]:
    """Every spelling in which the url's password, or a secret in its query, can turn up in a message; the longest first."""
    # Spark Connect's parameters stand behind semicolons: sc://host/;token=...
    query = parse_qsl("&".join(re.split("[?;]", url)[1:]))
    found = {_password(url), *(value for name, value in query if any(word in name.lower() for word in SECRET))}
    if found - {""}:
        found.add(url)
    spelled = {form(secret) for secret in found for form in (str, unquote, unquote_plus, quote, quote_plus, _quoted_whole)}
    return sorted((s for s in spelled if s), key=len, reverse=True)


def nearest(name: str, known: Iterable[str]) -> str:
    """` (there is orders, order_items)`: the names most like `name`, or the first few of what is there."""
    names = sorted(set(known))
    if not names:
        return " (there is none at all)"
    close = get_close_matches(name.lower(), [n.lower() for n in names], n=3, cutoff=0.6)
    shown = [n for n in names if n.lower() in close] or names[:8]
    more = "" if len(shown) == len(names) or close else ", ..."
    return f" (there is {', '.join(shown)}{more})"


def _said(error: BaseException) -> str:
    """MySQL's drivers carry (number, text); the others a text."""
    if len(error.args) == 2 and isinstance(error.args[0], int) and isinstance(error.args[1], str):
        return error.args[1]
    return str(error)


def _password(url: str) -> str:
    """Cut out by hand: a parser gives up on just the urls that end up in an error, or ends a password at its first `/`."""
    return url.partition("://")[2].rpartition("@")[0].partition(":")[2]


def _quoted_whole(secret: str) -> str:
    return quote(secret, safe="")
