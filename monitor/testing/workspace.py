"""A Slack workspace: channels, messages, and the Web API's methods on them, without the HTTP around it."""

from __future__ import annotations

import base64
import re
import time
from collections.abc import Callable, Iterable
from copy import deepcopy
from typing import Any

from monitor.testing.limits import refusal

SCOPES = frozenset(
    {
        "chat:write",
        "channels:history",
        "channels:read",
        "files:write",
        "groups:history",
        "groups:read",
        "users:read",
        "users:read.email",
    }
)
BOT, USER = "B0000000001", "U0000000001"

Answer = dict[str, Any]


class Refused(Exception):
    """`ok: false`; the first argument is Slack's name for the reason."""

    def __init__(self, name: str, **more: Any) -> None:
        super().__init__(name)
        self.answer: Answer = {"ok": False, "error": name, **more}


class Workspace:
    """State and methods. `channels` maps id to `{"name", "archived", "member", "private"}`; messages are Slack's, oldest first."""

    def __init__(
        self, channels: Iterable[str], token: str, scopes: Iterable[str] = SCOPES, clock: Callable[[], float] = time.time
    ) -> None:
        self.token, self.scopes, self.clock = token, frozenset(scopes), clock
        self.channels: dict[str, dict[str, Any]] = {}
        self.messages: list[Answer] = []
        self.people: dict[str, str] = {}
        self.files: dict[str, Answer] = {}
        self.address = ""
        self._last = 0
        for name in channels:
            self.add(name)

    def add(self, name: str, archived: bool = False, member: bool = True, private: bool = False) -> str:
        """A channel; its id."""
        made = f"C{len(self.channels) + 1:010d}"
        self.channels[made] = {"name": name.removeprefix("#"), "archived": archived, "member": member, "private": private}
        return made

    def answer(self, method: str, token: str, asked: Answer) -> Answer:
        """What Slack answers to one call; never raises."""
        try:
            return {"ok": True, **self._call(method, token, asked)}
        except Refused as refused:
            return refused.answer

    def _call(self, method: str, token: str, asked: Answer) -> Answer:
        found = METHODS.get(method)
        if found is None:
            raise Refused("unknown_method", req_method=method)
        if not token:
            raise Refused("not_authed")
        if token != self.token:
            raise Refused("invalid_auth")
        needed, call = found
        if needed:
            self._need(needed)
        return call(self, asked)

    def _need(self, scope: str) -> None:
        if scope not in self.scopes:
            raise Refused("missing_scope", needed=scope, provided=",".join(sorted(self.scopes)))

    # The methods.

    def auth_test(self, asked: Answer) -> Answer:
        return {
            "url": "https://test.slack.com/",
            "team": "Test",
            "user": "datavigil",
            "team_id": "T1",
            "user_id": USER,
            "bot_id": BOT,
        }

    def post(self, asked: Answer) -> Answer:
        channel = self._channel(asked, by_name=True)
        name, details = refusal(asked)
        if name:
            raise Refused(name, response_metadata={"messages": [f"[ERROR] {d}" for d in details]}, errors=details)
        message: Answer = {"type": "message", "user": USER, "bot_id": BOT, "ts": self._ts(), "text": asked.get("text") or ""}
        if thread := asked.get("thread_ts"):
            self._one(channel, thread, "thread_not_found")
            message |= {"thread_ts": thread}
            if _true(asked.get("reply_broadcast")):
                message["subtype"] = "thread_broadcast"
        message |= {key: deepcopy(asked[key]) for key in ("blocks", "metadata", "parse", "link_names") if asked.get(key)}
        self.messages.append({"channel": channel, **message})
        return {"channel": channel, "ts": message["ts"], "message": message}

    def update(self, asked: Answer) -> Answer:
        channel = self._channel(asked)
        message = self._one(channel, asked.get("ts"), "message_not_found")
        name, details = refusal(asked)
        if name:
            raise Refused(name, response_metadata={"messages": [f"[ERROR] {d}" for d in details]})
        if "blocks" in asked or "text" in asked:
            message["text"] = asked.get("text", message["text"])
            message["blocks"] = deepcopy(asked.get("blocks", message.get("blocks") if "text" not in asked else None)) or []
        if "metadata" in asked:
            message["metadata"] = deepcopy(asked["metadata"])
        message["edited"] = {"user": USER, "ts": self._ts()}
        message["edits"] = message.get("edits", 0) + 1
        return {"channel": channel, "ts": message["ts"], "text": message["text"], "message": message}

    def history(self, asked: Answer) -> Answer:
        channel = self._channel(asked)
        self._need("groups:history" if self.channels[channel]["private"] else "channels:history")
        if not self.channels[channel]["member"]:
            raise Refused("not_in_channel")
        found = [m for m in self.messages if m["channel"] == channel and ("thread_ts" not in m or "subtype" in m)]
        return self._page(asked, list(reversed(_between(found, asked))))

    def replies(self, asked: Answer) -> Answer:
        channel = self._channel(asked)
        self._need("groups:history" if self.channels[channel]["private"] else "channels:history")
        root = self._one(channel, asked.get("ts"), "thread_not_found")
        lines = [m for m in self.messages if m["channel"] == channel and m.get("thread_ts") == root["ts"]]
        return self._page(asked, [root, *_between(lines, asked)])

    def conversations(self, asked: Answer) -> Answer:
        types = str(asked.get("types") or "public_channel").split(",")
        for kind in types:
            self._need({"public_channel": "channels:read", "private_channel": "groups:read"}.get(kind, "im:read"))
        found = [
            {"id": made, "name": c["name"], "is_private": c["private"], "is_archived": c["archived"]}
            for made, c in self.channels.items()
            if c["member"] and ("private_channel" if c["private"] else "public_channel") in types
        ]
        return self._page(asked, found, "channels")

    def person(self, asked: Answer) -> Answer:
        made = self.people.get(str(asked.get("email")))
        if made is None:
            raise Refused("users_not_found")
        return {"user": {"id": made, "profile": {"email": asked["email"]}}}

    def place_for_file(self, asked: Answer) -> Answer:
        length = str(asked.get("length") or "")
        if not asked.get("filename") or not re.fullmatch(r"[1-9]\d*", length):
            raise Refused("invalid_arguments")
        made = f"F{len(self.files) + 1:010d}"
        kept = {"name": asked["filename"], "size": int(length), "alt_txt": asked.get("alt_txt") or "", "content": None}
        self.files[made] = {"id": made, **kept}
        return {"upload_url": f"{self.address}/upload/v1/{made}", "file_id": made}

    def take_file(self, made: str, body: bytes) -> bool:
        """The bytes for an address that was given out: taken once, and only as many as were announced."""
        file = self.files.get(made)
        if file is None or file["content"] is not None or file["size"] != len(body):
            return False
        file["content"] = base64.b64encode(body).decode()
        return True

    def share_files(self, asked: Answer) -> Answer:
        channel = self._channel({"channel": asked.get("channel_id")})
        if not self.channels[channel]["member"]:
            raise Refused("not_in_channel")
        if thread := asked.get("thread_ts"):
            self._one(channel, thread, "thread_not_found")
        shown = []
        for given in asked.get("files") or []:
            file = self.files.get(given.get("id"))
            if file is None or file["content"] is None:
                raise Refused("file_not_found")
            told = {name: value for name, value in file.items() if name != "content"}
            shown.append({**told, "title": given.get("title") or file["name"], "url_private": f"{self.address}/files/{file['id']}"})
        if not shown:
            raise Refused("invalid_arguments")
        message: Answer = {"type": "message", "user": USER, "bot_id": BOT, "ts": self._ts(), "text": "", "files": shown}
        self.messages.append({"channel": channel, **message, **({"thread_ts": thread} if thread else {})})
        return {"files": [{"id": file["id"], "title": file["title"]} for file in shown]}

    # What they share.

    def _channel(self, asked: Answer, by_name: bool = False) -> str:
        wanted = str(asked.get("channel") or "")
        named = {c["name"]: made for made, c in self.channels.items()}
        made = wanted if wanted in self.channels else (named.get(wanted.removeprefix("#")) if by_name else None)
        if made is None:
            raise Refused("channel_not_found")
        if by_name and self.channels[made]["archived"]:
            raise Refused("is_archived")
        if by_name and not self.channels[made]["member"] and "chat:write.public" not in self.scopes:
            raise Refused("not_in_channel")
        return made

    def _one(self, channel: str, ts: Any, missing: str) -> Answer:
        for message in self.messages:
            if message["channel"] == channel and message["ts"] == ts:
                return message
        raise Refused(missing)

    def _ts(self) -> str:
        """Slack's id of a message is its time in microseconds, which no two in a workspace share."""
        self._last = max(self._last + 1, round(self.clock() * 1e6))
        return f"{self._last // 1_000_000}.{self._last % 1_000_000:06d}"

    def _page(self, asked: Answer, found: list[Answer], name: str = "messages") -> Answer:
        limit = min(int(asked.get("limit") or 100), 999)
        cursor = str(asked.get("cursor") or "0")
        if not re.fullmatch(r"\d+", cursor):
            raise Refused("invalid_cursor")
        start, kept = int(cursor), [dict(m) for m in found]
        for message in kept:
            if not _true(asked.get("include_all_metadata")):
                message.pop("metadata", None)
        more = start + limit < len(kept)
        following = {"response_metadata": {"next_cursor": str(start + limit)}} if more else {}
        return {name: kept[start : start + limit], "has_more": more, **following}

    # Stored and read again.

    def as_json(self) -> Answer:
        return {
            "channels": self.channels,
            "messages": self.messages,
            "people": self.people,
            "files": self.files,
            "last": self._last,
        }

    def restore(self, stored: Answer) -> None:
        self.channels, self.messages = stored["channels"], stored["messages"]
        self.people, self.files, self._last = stored["people"], stored.get("files", {}), stored["last"]


def _true(given: Any) -> bool:
    return str(given).lower() in {"true", "1"}


def _between(messages: list[Answer], asked: Answer) -> list[Answer]:
    oldest, latest = float(asked.get("oldest") or 0), float(asked.get("latest") or "inf")
    return [m for m in messages if oldest < float(m["ts"]) < latest]


METHODS: dict[str, tuple[str, Callable[[Workspace, Answer], Answer]]] = {
    "auth.test": ("", Workspace.auth_test),
    "chat.postMessage": ("chat:write", Workspace.post),
    "chat.update": ("chat:write", Workspace.update),
    "conversations.history": ("", Workspace.history),
    "conversations.replies": ("", Workspace.replies),
    "conversations.list": ("", Workspace.conversations),
    "files.completeUploadExternal": ("files:write", Workspace.share_files),
    "files.getUploadURLExternal": ("files:write", Workspace.place_for_file),
    "users.conversations": ("", Workspace.conversations),
    "users.lookupByEmail": ("users:read.email", Workspace.person),
}
"""Method -> the scope it needs (empty: it depends), and what it does."""
