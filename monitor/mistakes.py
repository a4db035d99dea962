"""What is wrong with a config, in the words of the one who wrote it. No value is repeated here: it may be a secret."""

from __future__ import annotations

import difflib
import re
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from pydantic import BaseModel, ValidationError

WORDS = {
    "string_type": "must be text in quotes",
    "int_type": "must be a whole number",
    "int_parsing": "must be a whole number",
    "int_from_float": "must be a whole number",
    "float_type": "must be a number",
    "float_parsing": "must be a number",
    "finite_number": "must be a finite number",
    "bool_type": "must be true or false",
    "bool_parsing": "must be true or false",
    "tuple_type": 'must be a list: ["...", "..."]',
    "list_type": 'must be a list: ["...", "..."]',
    "dict_type": "must be a table: {key = value}",
    "model_type": "must be a table: {key = value}",
    "string_too_short": "must not be empty",
    "date_type": "must be a day such as 2026-09-01",
    "date_parsing": "must be a day such as 2026-09-01",
    "date_from_datetime_parsing": "must be a day such as 2026-09-01",
    "date_from_datetime_inexact": "must be a day without a time, such as 2026-09-01",
}
"""pydantic's name of a fault -> what a user can do with it."""
LIMITS = {
    "greater_than_equal": ("ge", "must be at least {}"),
    "less_than_equal": ("le", "must be at most {}"),
    "greater_than": ("gt", "must be above {}"),
    "less_than": ("lt", "must be below {}"),
    "literal_error": ("expected", "must be {}"),
    "enum": ("expected", "must be {}"),
    "too_short": ("min_length", "must list at least {}"),
    "too_long": ("max_length", "must list at most {}"),
}
"""The same for faults with a limit in them: where pydantic keeps it, and the sentence around it."""

NONE: Mapping[str, str] = {}


def unknown(word: str, name: str, known: Iterable[str], also: Iterable[str] = ()) -> str:
    """`unknown kind of check "mising"; did you mean "missing"?`; `also` may be meant but is not listed."""
    known = sorted(known)
    near = difflib.get_close_matches(name, [*known, *also], 1, 0.6)
    said = f'unknown {word} "{name}"'
    if near:
        return f'{said}; did you mean "{near[0]}"?'
    return f"{said}; known: {', '.join(known)}" if known else f"{said}; there is none"


def sentences(error: ValidationError, model: type[BaseModel], sections: Mapping[str, str] = NONE) -> list[str]:
    """What pydantic found wrong with the settings of `model`, one sentence per key.

    `sections` are the config's sections and their headings: as a key of one they were written in the wrong place.
    """
    found: dict[str, list[str]] = {}
    for fault in error.errors(include_url=False, include_input=False):
        found.setdefault(_where(fault["loc"]), []).append(_said(fault, model, sections))
    return [_sentence(where, list(dict.fromkeys(said))) for where, said in found.items()]


def _sentence(where: str, said: list[str]) -> str:
    # A value that may be of several types has a fault for each.
    joined = ", or ".join([said[0], *(s.removeprefix("must be ") for s in said[1:])])
    return joined if not where or joined.startswith(("unknown ", f"{where} is ", '"')) else f"{where}: {joined}"


def _where(loc: Sequence[Any]) -> str:
    """The key, and the entry in it: `values, entry 2`. What pydantic adds, the names of types and functions, is left out."""
    if not loc:
        return ""
    parts = [str(loc[0])]
    for part in loc[1:]:
        if isinstance(part, int):
            parts.append(f", entry {part + 1}")
        elif re.fullmatch(r"[a-z_][\w-]*", str(part)) and part not in {"str", "int", "float", "bool", "date"}:
            parts.append(f".{part}")
    return "".join(parts)


def _said(fault: Mapping[str, Any], model: type[BaseModel], sections: Mapping[str, str]) -> str:
    kind, limits = fault["type"], fault.get("ctx", {})
    where = _where(fault["loc"])
    if kind == "extra_forbidden":
        return _unknown_key(where, model, sections)
    if kind == "missing":
        return f"{where} is missing{_about(where, model)}"
    if kind == "string_pattern_mismatch":
        return f"does not have the right form{_about(where, model)}"
    if kind in LIMITS:
        name, words = LIMITS[kind]
        limit = limits[name]
        return words.format(str(limit).replace("'", '"') if isinstance(limit, str) else f"{limit:g}")
    return WORDS.get(kind) or re.sub(r"^(Value error, |Input )", "", fault["msg"]).replace("should be", "must be")


def _unknown_key(key: str, model: type[BaseModel], sections: Mapping[str, str]) -> str:
    names = _names(model) - {"name"} if "name" in model.model_fields else _names(model)
    if key in sections and not difflib.get_close_matches(key, names, 1, 0.9):
        return f'"{key}" is no key but a section: write it under a heading of its own, {sections[key]}'
    return unknown("key", key, names)


def _names(model: type[BaseModel]) -> set[str]:
    """The keys as a user writes them."""
    return {field.alias or name for name, field in model.model_fields.items()}


def _about(key: str, model: type[BaseModel]) -> str:
    about = next((f.description for n, f in model.model_fields.items() if key in {n, f.alias}), None)
    return f" ({about})" if about else ""
