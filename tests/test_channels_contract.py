"""What every channel promises, held against every kind that is found: a new file in alerts/ is tested here unasked."""

from __future__ import annotations

import importlib
import inspect
import logging
import pkgutil
import re
import socket
import traceback
from collections.abc import Callable
from datetime import UTC, datetime
from pathlib import Path
from types import ModuleType
from typing import Any, get_args

import pytest
from pydantic import SecretStr, ValidationError

import alerts
from alerts.base import CannotLookUp, Channel, DeliveryError
from alerts.message import Fact, Finding, Message, Outgoing
from checks.result import Severity
from monitor.testing import WebhookSink

AT = datetime(2026, 11, 23, 2, 4, tzinfo=UTC)
CANARY = "s3cr3tc4n4ry"


def found() -> list[type[Channel]]:
    modules = [importlib.import_module(f"alerts.{m.name}") for m in pkgutil.iter_modules(alerts.__path__)]
    return [
        kind
        for module in modules
        for kind in vars(module).values()
        if isinstance(kind, type) and issubclass(kind, Channel) and kind is not Channel and kind.__module__ == module.__name__
    ]


KINDS = found()
every_kind = pytest.mark.parametrize("kind", KINDS, ids=lambda kind: kind.kind)


def is_secret(annotation: Any) -> bool:
    return annotation is SecretStr or any(is_secret(inner) for inner in get_args(annotation))


def made(kind: type[Channel]) -> Channel:
    """The kind with the examples of its own settings, a canary in each secret."""
    given: dict[str, Any] = {}
    for name, setting in kind.model_fields.items():
        if setting.examples:
            example = setting.examples[0]
            given[name] = f"{example}{CANARY}" if is_secret(setting.annotation) else example
        elif is_secret(setting.annotation) and "dict" in str(setting.annotation):
            given[name] = {"X-Key": CANARY}
    return kind.model_validate(given)


def message(text: str) -> Message:
    finding = Finding(text, text, Severity.CRITICAL)
    return Message(
        "open", text, text, AT, Severity.CRITICAL, (finding,) * 60, (Fact(text, text), Fact("Since", AT)), (text,), text, text
    )


PLAIN = Outgoing("message", "inc:1:x:open:1", message("missing(amount) is 38.2 %"))


def faults() -> list[OSError]:
    return [
        ConnectionRefusedError(111, "Connection refused"),
        TimeoutError("timed out"),
        socket.gaierror(-2, "Name or service not known"),
    ]


@pytest.fixture(params=faults(), ids=lambda fault: type(fault).__name__)
def no_network(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(*_: Any, **__: Any) -> Any:
        raise request.param

    monkeypatch.setattr(socket, "getaddrinfo", refuse)
    monkeypatch.setattr(socket.socket, "connect", refuse)


def test_there_are_the_kinds_that_the_docs_name() -> None:
    assert {"slack", "mail", "webhook", "console"} <= {kind.kind for kind in KINDS}


@every_kind
def test_a_kind_is_one_file_named_like_it(kind: type[Channel]) -> None:
    assert [k for k in KINDS if k.__module__ == kind.__module__] == [kind]
    assert kind.__module__ == f"alerts.{kind.kind}"


@every_kind
def test_its_docstring_and_settings_are_its_page_in_the_docs(kind: type[Channel]) -> None:
    assert (inspect.getdoc(kind) or "") != inspect.getdoc(Channel)
    for name, setting in kind.model_fields.items():
        assert setting.description, f"{name} has no description"
        assert setting.examples or not setting.is_required(), f"{name} is required and has no example"


@every_kind
def test_it_says_where_it_goes_and_shows_no_secret(kind: type[Channel]) -> None:
    channel = made(kind)
    assert channel.where
    for shown in (channel.where, repr(channel), str(channel), channel.model_dump_json()):
        assert CANARY not in shown


@every_kind
def test_a_wrong_setting_is_refused_without_repeating_what_was_given(kind: type[Channel]) -> None:
    with pytest.raises(ValidationError) as raised:
        kind.model_validate({"tokken": CANARY})
    assert "tokken" in str(raised.value)
    assert CANARY not in str(raised.value)
    for name, setting in kind.model_fields.items():
        if is_secret(setting.annotation):
            with pytest.raises(ValidationError) as raised:
                kind.model_validate({name: [CANARY]})
            assert CANARY not in str(raised.value)


@every_kind
@pytest.mark.usefixtures("no_network")
@pytest.mark.parametrize("form", ["root", "edit", "line", "message"])
def test_without_a_network_it_fails_as_a_delivery_does_and_tells_no_secret(
    kind: type[Channel], form: Any, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.DEBUG)
    channel = made(kind)
    outgoing = Outgoing(form, "inc:1:x:open:1", PLAIN.message, root="C0123456789:1795395600.000100")
    for fault in (outcome(channel.send, outgoing), outcome(channel.find, outgoing, AT)):
        assert fault is None or str(fault)
        assert CANARY not in repr(fault)
        assert fault is None or CANARY not in "".join(traceback.format_exception(fault))
    assert CANARY not in caplog.text


def outcome(call: Callable[..., str | None], *given: Any) -> DeliveryError | None:
    """What a call ended with, None for an answer; any other exception goes through."""
    try:
        call(*given)
    except DeliveryError as fault:
        return fault
    return None


@every_kind
@pytest.mark.usefixtures("no_network")
def test_it_can_be_asked_what_arrived_exactly_if_it_says_so(kind: type[Channel]) -> None:
    with pytest.raises(DeliveryError) as raised:
        made(kind).find(PLAIN, AT)
    assert isinstance(raised.value, CannotLookUp) is not kind.looks_up


HOSTILE = ["", "x" * 20_000, "a\x00b\x1b[2Jc\ud800d\u202ee\r\nf", "<!channel> ``` </td><script> {{ 7 }} %s {0} \\"]


@every_kind
@pytest.mark.usefixtures("no_network")
@pytest.mark.parametrize("text", HOSTILE, ids=["empty", "long", "control", "markup"])
def test_no_content_makes_it_raise_anything_but_a_delivery_error(kind: type[Channel], text: str) -> None:
    key = text.encode(errors="replace").decode()
    fault = outcome(made(kind).send, Outgoing("message", key, message(text)))
    assert type(fault).__name__ in {"NoneType", "Unreachable", "Unknown"}


@every_kind
def test_it_can_be_kept_in_a_set_of_settings_and_compared(kind: type[Channel]) -> None:
    assert made(kind) == made(kind)
    with pytest.raises(ValidationError):
        made(kind).mention = "<!here>"  # type: ignore[misc]


DOCS = (Path(__file__).parent.parent / "docs" / "channels.md").read_text()


@every_kind
def test_the_docs_name_every_kind_and_every_setting(kind: type[Channel]) -> None:
    _, heading, section = DOCS.partition(f"\n## {kind.kind}\n")
    assert heading
    for name in set(kind.model_fields) - set(Channel.model_fields):
        assert f"| `{name}` |" in section.partition("\n## ")[0]


def test_the_channel_that_the_docs_show_works_as_it_stands() -> None:
    (source,) = re.findall(r"```python\n(\"\"\".*?)```", DOCS, re.DOTALL)
    module = ModuleType("alerts.ntfy")
    exec(compile(source, "ntfy.py", "exec", dont_inherit=True), module.__dict__)
    with WebhookSink() as sink:
        ntfy: Channel = module.Ntfy.model_validate({"url": sink.url})
        ntfy.send(PLAIN)
        assert "missing(amount) is 38.2 %" in sink.posts[0].body.decode()
        sink.answers = [403, 500]
        assert [type(outcome(ntfy.send, PLAIN)).__name__ for _ in range(2)] == ["CredentialBroken", "Unknown"]
    assert ntfy.kind == "ntfy"
