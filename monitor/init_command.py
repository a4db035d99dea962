"""`datavigil init`: looks at a source, writes a commented config, replays it on the past and drops what would have been noise."""

from __future__ import annotations

import os
import re
import sys
from collections import Counter
from collections.abc import Callable, Collection, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from urllib.parse import unquote

from pydantic import SecretStr

from checks.result import Status
from monitor import backtest, daemon, kinds
from monitor.config import Config, ConfigError, load
from monitor.pool import workers
from monitor.proposing import TIMEOUT, Proposal, proposals, quoted
from monitor.sources.base import Source, scheme_of

VARIABLE = "SOURCE_PASSWORD"
MOST, LEARNING, OFTEN, OFTEN_SHARE = 8, 8, 3, 0.05
"""Incidents that are named; windows without learned verdicts; windows, and share of all, in which a column fails too often."""
WINDOWS = 60
"""Windows of the past on which the proposal is tried."""


class CannotPropose(Exception):
    """Nothing was written; the message says why and what to do."""


@dataclass(frozen=True)
class Where:
    """A url as it is, as the config may hold it (without its password), and the folder of a folder of files."""

    url: str
    written: str
    folder: Path | None = None
    password: str | None = None


def run(url: str, output: Path, yes: bool, asks: Callable[[str], bool] | None) -> int:
    """The exit code. `asks` puts a question to whoever is at the terminal; None: nobody is there."""
    try:
        if output.exists() and not yes and not (asks and asks(f"{output} is there; overwrite it?")):
            raise CannotPropose(f"{output} is there already; name another file with --output, or give --yes to overwrite it")
        where = _where(url)
        found = _looked(where)
        watched = [p for p in found if not p.skipped and (yes or not asks or asks(f"watch {p.name} ({'; '.join(p.reasons)})?"))]
        if not watched:
            reasons = "; ".join(f"{p.name}: {p.skipped or 'not wanted'}" for p in found) or "it holds no table"
            raise CannotPropose(f"there is nothing to watch: {reasons}")
        skipped = [p for p in found if p not in watched]
        kept, said = _tried(where, watched, output)
        _write(output, text(where, kept, skipped, said))
    except CannotPropose as fault:
        print(fault, file=sys.stderr)
        return 3
    print("\n".join([f"{output}: {len(kept)} dataset{'s' * (len(kept) != 1)}", *said]))
    if where.password:
        print(f"the password is not in it: export {VARIABLE} before datavigil starts")
    print(f"next: datavigil check-config --config {output}, then add a channel")
    return 0


def _where(url: str) -> Where:
    if "://" not in url:
        folder = Path(url)
        if not folder.is_dir():
            raise CannotPropose(f"{url} is neither a url nor a folder; write postgres://user@host/database, or a folder of files")
        return Where("", "", folder.resolve())
    password = re.match(r"(\w[\w+.-]*://[^/?#@]*?):([^/?#]*)@", url)
    secret = password[2] if password and password[2] else None
    if secret is None or secret.startswith("${"):
        return Where(url, url)
    written = f"{url[: password.start(2)]}${{{VARIABLE}}}{url[password.end(2) :]}" if password else url
    return Where(url, written, None, unquote(secret))


def _source(where: Where) -> Source:
    scheme = scheme_of(where.url)
    best = max(kinds.source_kinds(), key=lambda kind: kind.answers_to(scheme))
    if not best.answers_to(scheme):
        raise CannotPropose(f"no source answers to {scheme}://; write one such as postgres://, duckdb:///, sqlite:///, or a folder")
    source: Source = best(url=SecretStr(where.url))
    return source.rooted(Path.cwd())


def _looked(where: Where) -> list[Proposal]:
    source = _source(where)
    with workers(1) as pool:
        try:
            found: list[Proposal] = pool.schedule(proposals, [source, where.folder], TIMEOUT.total_seconds()).result()
        except Exception as fault:  # Whatever a driver raises, it is the source's.
            raise CannotPropose(f"the source cannot be looked at: {source.said(fault)}") from None
    return found


def _tried(where: Where, watched: list[Proposal], output: Path) -> tuple[list[Proposal], list[str]]:
    """The proposals without the rules that failed on the past, and what was tried."""
    draft = output.with_name(f".{output.name}.draft")
    _write(draft, text(where, watched, [], []))
    try:
        config = load(draft, {**os.environ, VARIABLE: where.password or ""})
        return _without_noise(config, watched)
    except ConfigError as wrong:
        raise CannotPropose(f"the proposal is not a sound config, please report this: {wrong}") from None
    finally:
        draft.unlink()


def _without_noise(config: Config, watched: list[Proposal]) -> tuple[list[Proposal], list[str]]:
    kept, said = [], []
    for proposal in watched:
        try:
            found = backtest.run(config, None, [proposal.name], None, daemon.now(), lambda _done, _total: None, most=WINDOWS)
        except backtest.CannotReplay as fault:
            kept.append(proposal)
            said.append(f"{proposal.name}: not tried on the past: {fault}")
            continue
        quiet, lines = _quieter(found, proposal)
        kept.append(quiet)
        said += lines
    return kept, said


def _quieter(found: backtest.Backtest, proposal: Proposal) -> tuple[Proposal, list[str]]:
    """Without the rules that failed, and the columns that often did; with what would still have been told."""
    failed = Counter(r.check for _, _, m in found.windows for r in m.results if r.status in {Status.FAILED, Status.ERRORED})
    noise = [rule for rule in proposal.rules if failed[rule.name]]
    exclude = _noisy(found, {rule.name for rule in proposal.rules})
    told = backtest.told(found.config, [_less(one, {rule.name for rule in noise}, exclude) for one in found.windows])
    count = len(told.incidents)
    lines = [f"{proposal.name}: tried on {len(found.windows)} windows, {count} incident{'s' * (count != 1)}"]
    lines += [f"  left out, as it failed in {failed[rule.name]} of the windows: {rule.name}" for rule in noise]
    lines += [f"  not watched: {column}: {why}" for column, why in exclude.items()]
    for happening in list(told.incidents.values())[:MOST]:
        first = next(iter(happening.problems.values()))
        lines.append(f"  would have told on {happening.incident.opened_at:%Y-%m-%d}: {first.message}")
    rules = [rule for rule in proposal.rules if rule not in noise]
    return replace(proposal, rules=rules, exclude=exclude), lines


def _noisy(found: backtest.Backtest, rules: set[str]) -> dict[str, str]:
    """Columns whose learned checks failed in many windows: what is often odd is not odd."""
    bad = {
        (r.column, w.start) for _, w, m in found.windows for r in m.results if r.status is Status.FAILED and r.check not in rules
    }
    judged = max(len(found.windows) - LEARNING, 1)
    counts = Counter(column for column, _ in bad if column)
    return {
        column: f"its learned checks failed in {n} of {len(found.windows)} windows"
        for column, n in counts.items()
        if n >= OFTEN and n > judged * OFTEN_SHARE
    }


def _less(one: backtest.Verdict, rules: set[str], columns: Collection[str]) -> backtest.Verdict:
    dataset, window, measured = one
    left = [r for r in measured.results if r.check not in rules and r.column not in columns]
    return dataset, window, replace(measured, results=left)


def text(where: Where, watched: Sequence[Proposal], skipped: Sequence[Proposal], said: Sequence[str]) -> str:
    """The config, with a reason beside each proposal."""
    lines = ["# Written by `datavigil init`; every line may be changed. `datavigil check-config` says what is wrong with it.", ""]
    name = "files" if where.folder else "source"
    if not where.folder:
        lines += [f"# The password is read from the environment: export {VARIABLE} before the start."] if where.password else []
        lines += ["[sources.source]", f"url = {quoted(where.written)}", ""]
    for proposal in watched:
        lines += _dataset(proposal, name)
    if skipped:
        lines += ["# Not watched:", *(f"#   {p.name}: {p.skipped or 'not wanted'}" for p in skipped), ""]
    if said:
        lines += ["# Tried on the past:", *(f"#   {line}" for line in said), ""]
    lines += [
        '# Who is told. Slack: kind = "slack", token = "${SLACK_BOT_TOKEN}", channel = "#data-quality".',
        "[channels.terminal]",
    ]
    return "\n".join([*lines, 'kind = "console"', ""])


def _dataset(proposal: Proposal, source: str) -> list[str]:
    heading = proposal.name if re.fullmatch(r"[\w-]+", proposal.name, re.ASCII) else quoted(proposal.name)
    lines = [f"[datasets.{heading}]", *(f"# {reason}" for reason in proposal.reasons)]
    what = f"query = {quoted(proposal.query)}" if proposal.query else f"table = {quoted(proposal.table)}"
    lines += [f"source = {quoted(source)}", what]
    lines += [f"time_column = {quoted(proposal.time_column)}"] if proposal.time_column else []
    lines.append(f'every = "{proposal.every}"')
    lines += [f"timezone = {quoted(proposal.timezone)}"] if proposal.timezone else []
    lines += [f"# {column}: {why}" for column, why in proposal.exclude.items()]
    lines += [f"exclude = [{', '.join(map(quoted, proposal.exclude))}]"] if proposal.exclude else []
    if proposal.rules:
        lines.append("# Beside these every column is watched with bounds learned from its own past.")
        lines += ["checks = [", *(f"  {rule.toml},  # {rule.reason}" for rule in proposal.rules), "]"]
    return [*lines, ""]


def _write(path: Path, content: str) -> None:
    try:
        path.write_text(content, encoding="utf-8")
    except OSError as fault:
        raise CannotPropose(f"{path} cannot be written: {fault.strerror}") from None
