"""config.toml -> a frozen Config; every fault is reported at once, each with its place in the user's words."""

from __future__ import annotations

import difflib
import os
import re
import tomllib
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from datetime import timedelta
from pathlib import Path
from typing import Any

from pydantic import BaseModel, ConfigDict, Field, SecretStr, ValidationError, model_validator

from alerts.base import Channel
from alerts.routing import Route
from checks.base import Check
from monitor import kinds
from monitor.dataset import Dataset
from monitor.durations import Duration
from monitor.sources.base import Source, scheme_of

SECTIONS = ("store", "daemon", "sources", "datasets", "channels", "routes")
NOT_YET = {
    "config": ("summary", "maintenance", "heartbeat"),
    "dataset": ("late", "sensitivity", "budget", "rows"),
    "source": ("rate", "memory"),
    "route": ("digest", "escalate", "repeat"),
}
"""Keys of the design that this version knows of and does not act on: it says so instead of refusing or pretending."""


class ConfigError(Exception):
    """The config is wrong; `faults` are all that is wrong with it, one sentence each."""

    def __init__(self, path: Path, faults: list[str]) -> None:
        self.path, self.faults = path, faults
        count = "one mistake" if len(faults) == 1 else f"{len(faults)} mistakes"
        super().__init__(f"{path}: {count}\n" + "\n".join(f"  - {fault}" for fault in faults))


class Settings(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid")


class StoreSettings(Settings):
    """`[store]`: where results, incidents and deliveries are kept."""

    url: SecretStr = Field(SecretStr("sqlite:///datavigil.db"), description="sqlite:///file.db or postgresql+psycopg://...")
    keep_results: Duration = Field(timedelta(days=400), description="results older than this are forgotten")
    keep_profiles: Duration = Field(timedelta(days=400), description="profiles older than this are forgotten")


class DaemonSettings(Settings):
    """`[daemon]`: how the service works; the defaults suit one machine."""

    workers: int = Field(2, ge=1, le=64, description="worker processes, each measures one window at a time")
    tick: Duration = Field(timedelta(seconds=10), description="how often it looks for windows that are due")
    lease: Duration = Field(
        timedelta(seconds=60), description="work left unfinished by a dead process is taken over after this long"
    )
    settle: Duration = Field(
        timedelta(seconds=60), description="after an unknown outcome, wait this long before looking the message up"
    )
    send_timeout: Duration = Field(timedelta(seconds=15), description="the total time one send may take")

    @model_validator(mode="after")
    def _lease_outlasts(self) -> DaemonSettings:
        if self.lease < max(2 * self.send_timeout, 3 * self.tick):
            raise ValueError(
                "lease must be at least twice send_timeout and three times tick, or work is taken over while it goes on"
            )
        return self


@dataclass(frozen=True)
class Config:
    """The whole config, checked. `notes` are sentences worth telling at start: what was left out, what is not acted on."""

    path: Path
    store: StoreSettings = field(default_factory=StoreSettings)
    daemon: DaemonSettings = field(default_factory=DaemonSettings)
    sources: Mapping[str, Source] = field(default_factory=dict)
    datasets: Mapping[str, Dataset] = field(default_factory=dict)
    channels: Mapping[str, Channel] = field(default_factory=dict)
    routes: tuple[Route, ...] = ()
    notes: tuple[str, ...] = ()


def load(path: Path, environment: Mapping[str, str] | None = None) -> Config:
    """Read and check a config file. Raises ConfigError with all its faults."""
    try:
        text = path.read_text(encoding="utf-8")
    except FileNotFoundError:
        raise ConfigError(path, ["there is no such file; name one with --config, or see `datavigil demo`"]) from None
    except (OSError, UnicodeDecodeError) as fault:
        raise ConfigError(path, [f"it cannot be read: {fault}"]) from None
    try:
        written = tomllib.loads(text)
    except tomllib.TOMLDecodeError as fault:
        raise ConfigError(path, [f"it is not valid TOML: {fault}"]) from None
    return _Reading(path, os.environ if environment is None else environment).config(written)


class _Reading:
    """One pass over a written config: collects faults and goes on."""

    def __init__(self, path: Path, environment: Mapping[str, str]) -> None:
        self.path, self.environment = path.resolve(), environment
        self.faults: list[str] = []
        self.notes: list[str] = []
        self.used: dict[str, str] = {}

    def config(self, written: dict[str, Any]) -> Config:
        summary = written.get("summary")
        for name in written:
            if name not in SECTIONS and name not in NOT_YET["config"]:
                self.fault("top level", _unknown("section", name, SECTIONS))
        written = self.known("", written, "config")
        zone = summary.get("timezone") if isinstance(summary, dict) else None
        store = self.settings("[store]", written.get("store", {}), StoreSettings) or StoreSettings()
        daemon = self.settings("[daemon]", written.get("daemon", {}), DaemonSettings) or DaemonSettings()
        sources = self.section("source", written, self.source)
        sources.setdefault("files", self.files())
        channels = self.section("channel", written, self.channel)
        datasets = self.section("dataset", written, lambda place, name, body: self.dataset(place, name, body, sources, written))
        self.fallbacks(channels, written)
        routes = self.routes(written.get("routes", []), channels, written, zone)
        if not datasets and not self.faults:
            self.fault("top level", "there is no dataset to watch; write a [datasets.NAME] section")
        if not channels:
            self.notes.append("no channel is set: nobody is told of anything, results are only stored")
        if self.faults:
            raise ConfigError(self.path, [self.hidden(fault) for fault in self.faults])
        return Config(self.path, self.rooted(store), daemon, sources, datasets, channels, routes, tuple(self.notes))

    def fault(self, place: str, message: str) -> None:
        self.faults.append(f"{place}: {message}")

    def hidden(self, fault: str) -> str:
        """What came from the environment or a file is shown by the name it came from."""
        for name, value in sorted(self.used.items(), key=lambda item: -len(item[1])):
            if len(value) >= 3:
                fault = fault.replace(value, name)
        return fault

    def section(self, word: str, written: dict[str, Any], read: Callable[[str, str, Any], Any]) -> dict[str, Any]:
        body = written.get(f"{word}s", {})
        if not isinstance(body, dict):
            self.fault(f"[{word}s]", f"write each as a section of its own: [{word}s.NAME]")
            return {}
        found = {name: read(f'{word} "{name}"', name, part) for name, part in body.items()}
        return {name: value for name, value in found.items() if value is not None}

    def settings(self, place: str, body: Any, model: type[BaseModel]) -> Any:
        """A checked model, or None with its faults noted."""
        if not isinstance(body, dict):
            self.fault(place, "must be a section with keys")
            return None
        before = len(self.faults)
        body = self.secrets(place, self.filled(place, body), model)
        try:
            made = model.model_validate(body)
        except ValidationError as error:
            for fault in error.errors(include_url=False, include_context=False):
                self.fault(place, _sentence(dict(fault), model))
            return None
        return made if len(self.faults) == before else None

    def filled(self, place: str, value: Any) -> Any:
        """`${NAME}` replaced from the environment, everywhere in a value."""
        if isinstance(value, dict):
            return {key: self.filled(place, part) for key, part in value.items()}
        if isinstance(value, list):
            return [self.filled(place, part) for part in value]
        if not isinstance(value, str):
            return value

        def replaced(found: re.Match[str]) -> str:
            name = found[1]
            if name not in self.environment:
                self.fault(place, f"${{{name}}} is not set in the environment; export {name} before the start")
                return found[0]
            self.used[found[0]] = self.environment[name]
            return self.environment[name]

        return re.sub(r"\$\{(\w+)\}", replaced, value)

    def secrets(self, place: str, body: dict[str, Any], model: type[BaseModel]) -> dict[str, Any]:
        """`<key>_file` replaced by the content of that file, for keys that the model has."""
        out = {}
        for key, value in body.items():
            plain = key.removesuffix("_file")
            if key == plain or key in model.model_fields or plain not in model.model_fields:
                out[key] = value
                continue
            if plain in body:
                self.fault(place, f"{plain} and {key} are both given; keep one")
            try:
                content = (self.path.parent / str(value)).read_text(encoding="utf-8").strip()
            except (OSError, UnicodeDecodeError) as error:
                reason = error.strerror if isinstance(error, OSError) else "it is not text"
                self.fault(place, f"{key}: {value} cannot be read: {reason}")
                content = ""
            else:
                self.used[f"<{key}>"] = content
            out[plain] = content
        return out

    def source(self, place: str, name: str, body: Any) -> Source | None:
        body = self.known(place, body, "source")
        url = body.get("url") if isinstance(body, dict) else None
        if name == "files" and not url:
            return self.settings(place, {"url": "", **body} if isinstance(body, dict) else body, type(self.files()))
        if not isinstance(url, str) or "://" not in url:
            self.fault(place, "url is missing or is none; write one such as postgres://user:${PASSWORD}@host/database")
            return None
        scheme = scheme_of(url)
        best = max(kinds.source_kinds(), key=lambda kind: kind.answers_to(scheme))
        if not best.answers_to(scheme):
            known = sorted({s for kind in kinds.source_kinds() for s in kind.schemes})
            self.fault(place, _unknown("url scheme", scheme, known))
            return None
        made: Source | None = self.settings(place, body, best)
        return None if made is None else made.rooted(self.path.parent)

    def files(self) -> Source:
        files = next(kind for kind in kinds.source_kinds() if kind.kind == "files")
        made: Source = files(url=SecretStr(""))
        return made

    def channel(self, place: str, name: str, body: Any) -> Channel | None:
        kind = self.kind(place, body, kinds.channel_kinds(), "channel")
        return self.settings(place, {k: v for k, v in body.items() if k != "kind"}, kind) if kind else None

    def kind(self, place: str, body: Any, known: Mapping[str, type[Any]], word: str) -> type[Any] | None:
        if not isinstance(body, dict):
            self.fault(place, f"must be a table with a kind: {{kind = ...}}; kinds of {word}: {', '.join(known)}")
            return None
        if "kind" not in body:
            self.fault(place, f"kind is missing; kinds of {word}: {', '.join(known)}")
            return None
        if body["kind"] not in known:
            self.fault(place, _unknown(f"kind of {word}", str(body["kind"]), known))
            return None
        return known[body["kind"]]

    def dataset(self, place: str, name: str, body: Any, sources: Mapping[str, Source], written: dict[str, Any]) -> Dataset | None:
        if not isinstance(body, dict):
            self.fault(place, "must be a section with keys")
            return None
        body = self.known(place, body, "dataset")
        # Its checks are looked at even where the dataset itself is wrong, so that all faults are told at once.
        checks = self.checks(place, body.get("checks", []))
        body = {"name": name, **{k: v for k, v in body.items() if k != "checks"}}
        made: Dataset | None = self.settings(place, {**body, "checks": []}, Dataset)
        source = body.get("source", "files")
        named = {*sources, *_names(written, "sources"), "files"}
        if isinstance(source, str) and source not in named:
            self.fault(place, _unknown("source", source, named))
        if made is None:
            return None
        if source == "files" and made.table and made.query is None:
            return made.model_copy(update={"checks": checks, "table": self.path_of(made.table)})
        return made.model_copy(update={"checks": checks})

    def path_of(self, table: str) -> str:
        """A path is read from the config's own folder; an address (s3://...) stays as it is."""
        return table if "://" in table else str(self.path.parent / table)

    def checks(self, place: str, written: Any) -> tuple[Check, ...]:
        if not isinstance(written, list):
            self.fault(place, "checks must be a list: checks = [{kind = ...}, ...]")
            return ()
        out: list[Check] = []
        for count, body in enumerate(written, start=1):
            here = f"{place}, check {count}"
            kind = self.kind(here, body, kinds.check_kinds(), "check")
            check = self.settings(here, {k: v for k, v in body.items() if k != "kind"}, kind) if kind else None
            if check is None:
                continue
            same = next((i for i, other in enumerate(out, start=1) if other.name == check.name), None)
            if same:
                self.fault(here, f'is called "{check.name}" like another one; give one of them an id of its own')
            out.append(check)
        return tuple(out)

    def fallbacks(self, channels: Mapping[str, Channel], written: dict[str, Any]) -> None:
        named = {*channels, *_names(written, "channels")}
        for name, channel in channels.items():
            if channel.fallback is not None and channel.fallback not in named:
                self.fault(f'channel "{name}"', _unknown("channel for fallback", channel.fallback, named))

    def known(self, place: str, body: Any, what: str) -> Any:
        """A section without the keys that this version does not act on; they are told as notes."""
        if not isinstance(body, dict):
            return body
        for key in NOT_YET[what]:
            if key in body:
                self.notes.append(f"{place}{': ' if place else ''}{key} is not acted on by this version yet")
        return {key: value for key, value in body.items() if key not in NOT_YET[what]}

    def routes(self, written_routes: Any, channels: Mapping[str, Channel], written: dict[str, Any], zone: Any) -> tuple[Route, ...]:
        if not isinstance(written_routes, list):
            self.fault("[[routes]]", "write each route as [[routes]] with double brackets")
            return ()
        if not written_routes:
            return (Route(to=tuple(channels)),) if channels else ()
        named = {*channels, *_names(written, "channels")}
        out: list[Route] = []
        for count, part in enumerate(written_routes, start=1):
            here = f"route {count}"
            body = self.known(here, part, "route")
            zoned = zone and isinstance(body, dict) and "quiet" in body
            route: Route | None = self.settings(here, {"timezone": zone, **body} if zoned else body, Route)
            if route is None:
                continue
            for channel in route.to:
                if channel not in named:
                    self.fault(here, _unknown("channel", channel, named))
            out.append(route)
        if out and any((r.severity or r.dataset or r.owner or r.tag) is None for r in out[:-1]):
            self.notes.append("a route without a condition takes everything: the routes after it are never reached")
        return tuple(out)

    def rooted(self, store: StoreSettings) -> StoreSettings:
        """A relative SQLite file lies beside the config."""
        url = store.url.get_secret_value()
        found = re.fullmatch(r"sqlite(\+\w+)?:///(?!/)(.+)", url)
        if not found or found[2] == ":memory:":
            return store
        return store.model_copy(update={"url": SecretStr(f"sqlite{found[1] or ''}:///{self.path.parent / found[2]}")})


def _names(written: Mapping[str, Any], section: str) -> set[str]:
    body = written.get(section, {})
    return set(body) if isinstance(body, dict) else set()


def _unknown(word: str, name: str, known: Iterable[str]) -> str:
    known = sorted(known)
    near = difflib.get_close_matches(name, known, 1, 0.6)
    said = f'unknown {word} "{name}"'
    if near:
        return f'{said}; did you mean "{near[0]}"?'
    return f"{said}; known: {', '.join(known)}" if known else f"{said}; there is none"


def _sentence(fault: dict[str, Any], model: type[BaseModel]) -> str:
    """A pydantic fault in the user's words; the value itself is not repeated, it may be a secret."""
    where = ".".join(str(part) for part in fault["loc"] if not str(part).startswith(("function-", "Previous", "Fixed", "tagged")))
    if fault["type"] == "extra_forbidden":
        return _unknown("key", where, [n for n in model.model_fields if n != "name"])
    if fault["type"] == "missing":
        about = model.model_fields[where].description if where in model.model_fields else None
        return f"{where} is missing" + (f" ({about})" if about else "")
    said = re.sub(r"^(Value error, |Input )", "", fault["msg"])
    return f"{where}: {said}" if where else said
