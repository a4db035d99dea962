"""Any HTTP service: the message as JSON, so that a few lines elsewhere can carry it on."""

from __future__ import annotations

import hashlib
import hmac
import json
import re
import time
from urllib.parse import quote

from pydantic import Field, SecretStr, field_validator

from alerts.base import Channel, ChannelBroken, CredentialBroken, DeliveryError, Impossible, RateLimited, Unknown
from alerts.message import Outgoing
from alerts.wire import Answer, post

IMPOSSIBLE = frozenset({413, 422})
"""Too large, not understood: the content is refused, another message may pass."""
PERHAPS = frozenset({408, 409, 425})
"""Timed out while reading, the same key in flight, too early: it may have arrived."""
SAFE = "!#$&'()*+,/:;=?@[]~"
"""Characters of a key that a header may hold as they are; others are percent-encoded there, never in the body."""


class Webhook(Channel):
    """POSTs a message as JSON. Any answer of 200 to 299 means it arrived.

    The body is `{"key": ..., "form": "root" | "edit" | "line" | "message", "message": {...}}`; `key` stands in the header
    Idempotency-Key too and is the same whenever the same thing is said again. With `secret` set the header
    X-Datavigil-Signature holds `sha256=` and the HMAC-SHA256 of the raw body in hexadecimal.
    """

    url: SecretStr = Field(
        description="where to POST; secret, since many services put a token in it", examples=["https://hooks.example.com/x"]
    )
    headers: dict[str, SecretStr] = Field({}, description="further headers, such as Authorization")
    secret: SecretStr | None = Field(None, description="key of the signature", examples=["a long random text"])
    timeout: float = Field(10, gt=0, le=120, description="seconds that one delivery may take in all")

    @field_validator("url")
    @classmethod
    def _is_http(cls, url: SecretStr) -> SecretStr:
        if not re.fullmatch(r"https?://[^\s/]+\S*", url.get_secret_value()):
            raise ValueError("must begin with https:// (or http://) and a host")
        if "@" in url.get_secret_value().split("/")[2]:
            raise ValueError("user and password go into headers, as Authorization")
        return url

    @field_validator("headers")
    @classmethod
    def _are_headers(cls, headers: dict[str, SecretStr]) -> dict[str, SecretStr]:
        for name, value in headers.items():
            if not re.fullmatch(r"[A-Za-z0-9-]+", name) or not re.fullmatch(r"[\x20-\x7e]*", value.get_secret_value()):
                raise ValueError(f"{name!r} is no header: a name of letters, digits and -, a value of one line of ASCII")
        return headers

    @property
    def where(self) -> str:
        host = re.sub(r"^https?://(?:[^/@]*@)?([^/?#:]+).*", r"\1", self.url.get_secret_value())
        return f"webhook on {host}"

    def send(self, outgoing: Outgoing) -> None:
        body = json.dumps({"key": outgoing.key, "form": outgoing.form, "message": outgoing.message.as_json()}).encode()
        answer = post(self.url.get_secret_value(), body, self._headers(outgoing, body), self.timeout, self.where)
        if not 200 <= answer.status < 300:
            raise _refusal(answer, self.where)

    def _headers(self, outgoing: Outgoing, body: bytes) -> dict[str, str]:
        headers = {name: value.get_secret_value() for name, value in self.headers.items()}
        headers |= {"Content-Type": "application/json", "User-Agent": "datavigil", "Idempotency-Key": quote(outgoing.key, SAFE)}
        if self.secret:
            key = self.secret.get_secret_value().encode()
            stamp = str(int(time.time()))
            signed = hmac.new(key, stamp.encode() + b"." + body, hashlib.sha256).hexdigest()
            headers |= {"X-Datavigil-Timestamp": stamp, "X-Datavigil-Signature": f"sha256={signed}"}
        return headers


def _refusal(answer: Answer, where: str) -> DeliveryError:
    status, said = answer.status, f"{where} answered {answer.status}"
    if status == 429:
        return RateLimited(said, answer.pause)
    if status in {401, 403, 407}:
        return CredentialBroken(said)
    if status in IMPOSSIBLE:
        return Impossible(said)
    if status >= 500 or status in PERHAPS:
        return Unknown(said)
    return ChannelBroken(f"{said}, a redirect; write the address it leads to" if status < 400 else said)
