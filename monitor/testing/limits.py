"""What Slack refuses in a message, by the names it refuses it with."""

from __future__ import annotations

import json
from collections.abc import Iterator
from typing import Any

BLOCKS, ALL_BLOCKS, TEXT, METADATA = 50, 13_000, 40_000, 8_000
"""Blocks of a message; characters of all of them together (undocumented, seen); of `text`; bytes of metadata."""


def refusal(body: dict[str, Any]) -> tuple[str, list[str]]:
    """Slack's name for what is wrong with a message and its details; an empty name for nothing."""
    blocks, text, metadata = body.get("blocks") or [], body.get("text") or "", body.get("metadata")
    if not text and not blocks:
        return "no_text", []
    if len(text) > TEXT:
        return "msg_too_long", []
    if metadata is not None and (found := _metadata(metadata)):
        return found, []
    if not isinstance(blocks, list) or not all(isinstance(b, dict) for b in blocks):
        return "invalid_blocks_format", []
    wrong = list(_wrong(blocks))
    if wrong:
        return "invalid_blocks", wrong
    return ("msg_blocks_too_long", []) if sum(len(t) for t in texts(blocks)) > ALL_BLOCKS else ("", [])


def _metadata(metadata: Any) -> str:
    if not isinstance(metadata, dict) or not isinstance(metadata.get("event_type"), str):
        return "invalid_metadata_format"
    if not isinstance(metadata.get("event_payload"), dict):
        return "invalid_metadata_format"
    return "metadata_too_large" if len(json.dumps(metadata)) > METADATA else ""


def texts(part: Any) -> Iterator[str]:
    """Every text of a block, an element or a list of them."""
    if isinstance(part, list):
        for inner in part:
            yield from texts(inner)
    elif isinstance(part, dict):
        for name, inner in part.items():
            if name in {"text", "fields", "elements"}:
                yield from [inner] if isinstance(inner, str) else texts(inner)


def _wrong(blocks: list[dict[str, Any]]) -> Iterator[str]:
    if len(blocks) > BLOCKS:
        yield f"no more than {BLOCKS} items allowed [json-pointer:/blocks]"
    for place, block in enumerate(blocks):
        kind = block.get("type")
        if kind == "section":
            yield from _section(block, f"/blocks/{place}")
        elif kind == "header":
            yield from _text(block.get("text"), 150, f"/blocks/{place}/text", {"plain_text"})
        elif kind == "context":
            yield from _elements(block, f"/blocks/{place}")
        elif kind not in {"divider", "image", "actions", "rich_text"}:
            yield f"unsupported type: {kind} [json-pointer:/blocks/{place}/type]"


def _section(block: dict[str, Any], where: str) -> Iterator[str]:
    fields = block.get("fields")
    if fields is None and "text" not in block:
        yield f"missing required field: text [json-pointer:{where}]"
    if "text" in block:
        yield from _text(block["text"], 3000, f"{where}/text")
    if fields is not None:
        if not 1 <= len(fields) <= 10:
            yield f"between 1 and 10 items allowed [json-pointer:{where}/fields]"
        for place, inner in enumerate(fields):
            yield from _text(inner, 2000, f"{where}/fields/{place}")


def _elements(block: dict[str, Any], where: str) -> Iterator[str]:
    elements = block.get("elements") or []
    if not 1 <= len(elements) <= 10:
        yield f"between 1 and 10 items allowed [json-pointer:{where}/elements]"
    for place, inner in enumerate(elements):
        if inner.get("type") != "image":
            yield from _text(inner, 3000, f"{where}/elements/{place}")


def _text(
    part: Any, most: int, where: str, kinds: frozenset[str] | set[str] = frozenset({"mrkdwn", "plain_text"})
) -> Iterator[str]:
    if not isinstance(part, dict) or part.get("type") not in kinds:
        yield f"must be a text object of type {' or '.join(sorted(kinds))} [json-pointer:{where}]"
    elif not 1 <= len(part.get("text") or "") <= most:
        yield f"must be between 1 and {most} characters [json-pointer:{where}/text]"
    elif "verbatim" in part and part["type"] != "mrkdwn":
        yield f"only mrkdwn has verbatim [json-pointer:{where}]"
    elif "emoji" in part and part["type"] != "plain_text":
        yield f"only plain_text has emoji [json-pointer:{where}]"
