"""config.toml -> a frozen Config; every fault is reported at once, each with its place in the user's words."""

from __future__ import annotations

import os
import re
import tomllib
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from pydantic import BaseModel, SecretStr, ValidationError

from alerts.base import Channel
from alerts.pace import Pace
from alerts.routing import Route
from alerts.rules import RULES, Rules
from alerts.silencing import Maintenance
from checks.base import Check
from monitor import kinds
from monitor.dataset import Dataset, Golden
from monitor.mistakes import sentences, unknown
from monitor.outside import Outside
from monitor.settings import DaemonSettings, HeartbeatSettings, ReportSettings, StoreSettings, SummarySettings
from monitor.sources.base import Source, scheme_of

SECTIONS = {
    "store": "[store]",
    "daemon": "[daemon]",
    "reports": "[reports]",
    "sources": "[sources.NAME]",
    "datasets": "[datasets.NAME]",
    "channels": "[channels.NAME]",
    "routes": "[[routes]]",
    "summary": "[summary]",
    "telling": "[telling]",
    "incidents": "[incidents]",
    "maintenance": "[[maintenance]]",
    "heartbeat": "[heartbeat]",
}
"""Name -> the heading under which it is written."""


class ConfigError(Exception):
    """The config is wrong; `faults` are all that is wrong with it, one sentence each."""

    def __init__(self, path: Path, faults: list[str]) -> None:
        self.path, self.faults = path, faults
        count = "one mistake" if len(faults) == 1 else f"{len(faults)} mistakes"
        super().__init__(f"{path}: {count}\n" + "\n".join(f"  - {fault}" for fault in faults))


LONGEST_NAME = 100
"""Of a dataset: it keys rows of the store."""
TAKEN = ("storm:", "source:", "channel:", "config:")
"""How the subjects of incidents begin that are no dataset's: a dataset called so would be taken for one of them."""


@dataclass(frozen=True)
class Config:
    """The whole config, checked. `notes` are sentences worth telling at start: what was left out."""

    path: Path
    store: StoreSettings = field(default_factory=StoreSettings)
    daemon: DaemonSettings = field(default_factory=DaemonSettings)
    reports: ReportSettings = field(default_factory=ReportSettings)
    summary: SummarySettings = field(default_factory=SummarySettings)
    sources: Mapping[str, Source] = field(default_factory=dict)
    datasets: Mapping[str, Dataset] = field(default_factory=dict)
    channels: Mapping[str, Channel] = field(default_factory=dict)
    routes: tuple[Route, ...] = ()
    telling: Pace = field(default_factory=Pace)
    maintenance: tuple[Maintenance, ...] = ()
    heartbeat: HeartbeatSettings | None = None
    notes: tuple[str, ...] = ()
    incidents: Rules = RULES


def load(path: Path, environment: Mapping[str, str] | None = None) -> Config:
    """Read and check a config file. Raises ConfigError with all its faults."""
    try:
        written = tomllib.loads(_text(path))
    except tomllib.TOMLDecodeError as fault:
        raise ConfigError(path, [f"it is not valid TOML: {fault}"]) from None
    return _Reading(path, os.environ if environment is None else environment).config(written)


class _Reading:
    """One pass over a written config: collects faults and goes on."""

    def __init__(self, path: Path, environment: Mapping[str, str]) -> None:
        self.path = path.resolve()
        self.outside = Outside(self.path.parent, environment)
        self.faults: list[str] = []
        self.notes: list[str] = []

    def config(self, written: dict[str, Any]) -> Config:
        for name in written:
            if name not in SECTIONS:
                self.fault("top level", unknown("section", name, SECTIONS))
        summary = self.settings("[summary]", written.get("summary", {}), SummarySettings) or SummarySettings()
        store = self.settings("[store]", written.get("store", {}), StoreSettings) or StoreSettings()
        daemon = self.settings("[daemon]", written.get("daemon", {}), DaemonSettings) or DaemonSettings()
        reports = self.settings("[reports]", written.get("reports", {}), ReportSettings) or ReportSettings()
        sources = self.section("source", written, self.source)
        sources.setdefault("files", self.files())
        channels = self.section("channel", written, self.channel)
        channels = {name: _in_time(channel, daemon) for name, channel in channels.items()}
        datasets = self.section("dataset", written, lambda place, name, body: self.dataset(place, name, body, sources, written))
        self.fallbacks(channels, written)
        routes = self.routes(written.get("routes", []), channels, written, summary)
        pace = self.settings("[telling]", written.get("telling", {}), Pace) or Pace()
        heartbeat = self.settings("[heartbeat]", written["heartbeat"], HeartbeatSettings) if "heartbeat" in written else None
        rules = self.settings("[incidents]", written.get("incidents", {}), Rules) or RULES
        planned = self.maintenance(written.get("maintenance", []), summary)
        if not datasets and not self.faults:
            self.fault("top level", "there is no dataset to watch; write a [datasets.NAME] section")
        if not channels:
            self.notes.append("no channel is set: nobody is told of anything, results are only stored")
        if self.faults:
            raise ConfigError(self.path, [self.outside.hidden(fault) for fault in self.faults])
        store = self.rooted(store)
        reports = self.shelved(reports, store)
        return Config(
            self.path,
            store,
            daemon,
            reports,
            summary,
            sources,
            datasets,
            channels,
            routes,
            pace,
            planned,
            heartbeat,
            tuple(self.notes),
            rules,
        )

    def fault(self, place: str, message: str) -> None:
        self.faults.append(f"{place}: {message}")

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
        made = self.checked(place, self.resolved(place, body, model), model)
        return made if len(self.faults) == before else None

    def resolved(self, place: str, body: dict[str, Any], model: type[BaseModel]) -> dict[str, Any]:
        """The same keys with the values that come from the environment and from files."""

        def fault(message: str) -> None:
            self.fault(place, message)

        return self.outside.read(self.outside.filled(body, fault), set(model.model_fields), fault)

    def checked(self, place: str, body: dict[str, Any], model: type[BaseModel]) -> Any:
        try:
            return model.model_validate(body)
        except ValidationError as error:
            for sentence in sentences(error, model, SECTIONS):
                self.fault(place, sentence)
            return None

    def source(self, place: str, name: str, body: Any) -> Source | None:
        if not isinstance(body, dict):
            self.fault(place, "must be a section with keys")
            return None
        before = len(self.faults)
        # Which kind it is stands in the url, and that may come from outside.
        body = self.resolved(place, {"url": "", **body} if name == "files" and "url_file" not in body else body, Source)
        kind = self.source_kind(place, name, body.get("url"), hinted=len(self.faults) > before)
        made: Source | None = self.checked(place, body, kind) if kind else None
        return made.rooted(self.path.parent) if made and len(self.faults) == before else None

    def source_kind(self, place: str, name: str, url: Any, hinted: bool) -> type[Source] | None:
        """The kind that answers to the url; `hinted`: a fault of the url was told already."""
        if name == "files" and not url:
            return type(self.files())
        if not isinstance(url, str) or not scheme_of(url):
            if not hinted:
                word = "is missing" if url is None else "does not look like one"
                self.fault(place, f"url {word}; write one such as postgres://user:${{PASSWORD}}@host/database")
            return None
        scheme = scheme_of(url)
        best = max(kinds.source_kinds(), key=lambda kind: kind.answers_to(scheme))
        if best.answers_to(scheme):
            return best
        self.fault(place, unknown("url scheme", scheme, {s for kind in kinds.source_kinds() for s in kind.schemes}))
        return None

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
        kind = str(body["kind"])
        if kind not in known:
            self.fault(place, unknown(f"kind of {word}", kind, known))
        return known.get(kind)

    def dataset(self, place: str, name: str, body: Any, sources: Mapping[str, Source], written: dict[str, Any]) -> Dataset | None:
        if not isinstance(body, dict):
            self.fault(place, "must be a section with keys")
            return None
        if len(name) > LONGEST_NAME or not name.isprintable():
            self.fault(place, f"its name must be at most {LONGEST_NAME} printable characters")
        if taken := next((begin for begin in TAKEN if name.startswith(begin)), None):
            self.fault(place, f'its name must not begin with "{taken}": so the daemon names incidents of its own; use another name')
        # Its checks are looked at even where the dataset itself is wrong, so that all faults are told at once.
        checks = self.checks(place, body.get("checks", []))
        if "name" in body:
            self.fault(place, f'unknown key "name"; its name stands in the heading: [datasets.{body["name"]}]')
        body = {**{k: v for k, v in body.items() if k != "checks"}, "name": name}
        made: Dataset | None = self.settings(place, {**body, "checks": []}, Dataset)
        source = body.get("source", "files")
        named = {*sources, *_names(written, "sources"), "files"}
        if isinstance(source, str) and source not in named:
            self.fault(place, unknown("source", source, named))
        if made is None:
            return None
        kind = sources[source].kind if source in sources else ""
        if made.sample and source in sources and not sources[source].samples:
            self.fault(place, f"sample is not for a {kind} source, which measures where the rows are; give a query that takes one")
        if kind == "files" and made.table:
            made = made.model_copy(update={"table": self.path_of(made.table)})
        if kind == "files" and isinstance(made.reference, Golden):
            made = made.model_copy(update={"reference": Golden(table=self.path_of(made.reference.table))})
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
                self.fault(f'channel "{name}"', unknown("channel for fallback", channel.fallback, named))
            elif channel.fallback == name:
                self.fault(f'channel "{name}"', "fallback: it cannot stand in for itself; name another channel")

    def routes(
        self, written_routes: Any, channels: Mapping[str, Channel], written: dict[str, Any], summary: SummarySettings
    ) -> tuple[Route, ...]:
        named = {*channels, *_names(written, "channels")}
        for channel in summary.to:
            if channel not in named:
                self.fault("[summary]", unknown("channel", channel, named))
        if not isinstance(written_routes, list):
            self.fault("[[routes]]", "write each route as [[routes]] with double brackets")
            return ()
        if not written_routes:
            return (Route(to=tuple(channels)),) if channels else ()
        out: list[Route] = []
        for count, part in enumerate(written_routes, start=1):
            here = f"route {count}"
            body = {"timezone": summary.timezone, **part} if isinstance(part, dict) else part
            route: Route | None = self.settings(here, body, Route)
            if route is None:
                continue
            for channel in (*route.to, *(route.escalate.to if route.escalate else ())):
                if channel not in named:
                    self.fault(here, unknown("channel", channel, named))
            out.append(route)
        if any(route.takes_all for route in out[:-1]):
            self.notes.append("a route without a condition takes everything: the routes after it are never reached")
        if out and not any(route.takes_all for route in out):
            self.notes.append("no route takes everything: what none of them takes is told to nobody")
        return tuple(out)

    def maintenance(self, written: Any, summary: SummarySettings) -> tuple[Maintenance, ...]:
        if not isinstance(written, list):
            self.fault("[[maintenance]]", "write each as [[maintenance]] with double brackets")
            return ()
        made = [
            self.settings(
                f"maintenance {count}", {"timezone": summary.timezone, **part} if isinstance(part, dict) else part, Maintenance
            )
            for count, part in enumerate(written, start=1)
        ]
        return tuple(planned for planned in made if planned is not None)

    def rooted(self, store: StoreSettings) -> StoreSettings:
        """A relative SQLite file lies beside the config."""
        url = store.url.get_secret_value()
        found = re.fullmatch(r"sqlite(\+\w+)?:///(?!/)(.+)", url)
        if not found or found[2] == ":memory:":
            return store
        return store.model_copy(update={"url": SecretStr(f"sqlite{found[1] or ''}:///{self.path.parent / found[2]}")})

    def shelved(self, reports: ReportSettings, store: StoreSettings) -> ReportSettings:
        """Where reports go, as an absolute path: beside the store's file where it is one and nothing else is said."""
        file = re.fullmatch(r"sqlite(\+\w+)?:///([^?]+)(.*)", store.url.get_secret_value())
        beside = Path(file[2]).parent if file and file[2] != ":memory:" else self.path.parent
        folder = self.path.parent / reports.folder if reports.folder else beside / "datavigil-reports"
        return reports.model_copy(update={"folder": str(folder.absolute())})


def _in_time(channel: Channel, daemon: DaemonSettings) -> Channel:
    """A channel's own timeout ends before the sender gives up on it: else what that left behind would still be sent."""
    own, total = getattr(channel, "timeout", None), daemon.send_timeout.total_seconds()
    return channel.model_copy(update={"timeout": total * 0.9}) if own is not None and own >= total else channel


def _names(written: Mapping[str, Any], section: str) -> set[str]:
    body = written.get(section, {})
    return set(body) if isinstance(body, dict) else set()


def _text(path: Path) -> str:
    """The file's text. Raises ConfigError where it cannot be read."""
    try:
        raw = path.read_bytes()
    except FileNotFoundError:
        raise ConfigError(path, ["there is no such file; name one with --config, or see `datavigil demo`"]) from None
    except OSError as fault:
        raise ConfigError(path, [f"it cannot be read: {fault.strerror}"]) from None
    try:
        # Some editors put a mark before the first letter.
        return raw.decode("utf-8-sig")
    except UnicodeDecodeError as fault:
        line = raw.count(b"\n", 0, fault.start) + 1
        raise ConfigError(path, [f"line {line} is not UTF-8 text; save the file as UTF-8"]) from None
