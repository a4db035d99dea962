"""What every kind of check promises, tested once over all that are found in the package."""

from __future__ import annotations

import ast
import importlib
import inspect
import json
import math
import pkgutil
import subprocess
import sys
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import checks
from checks.base import Check, Past, Table, View
from checks.pending import judged
from checks.profile import Answer, Answers, Broken, Counts, Grid, Histogram, Keyed, Number, Rows
from checks.question import Categories, Distribution, Keys, Question, Sample
from checks.result import Result, Severity, Status
from checks.window import Window

FOLDER = Path(str(checks.__file__)).parent
SCHEMA = {"n": "float64", "i": "!int64", "t": "string", "b": "boolean", "at": "timestamp('UTC', 6)", "x": "array<int64>"}
START = datetime(2026, 3, 2, tzinfo=UTC)
GIVEN: dict[str, dict[str, Any]] = {
    "pattern": {"regex": "^[a-z]+$"},
    "sql": {"name": "mine", "query": "select 1"},
    "unique": {"columns": ("t",)},
    "classification": {"prediction": "b", "target": "b", "metrics": ("accuracy",)},
    "regression": {"prediction": "n", "target": "i", "metrics": ("mae",)},
    "evidently": {"metric": "ValueDrift", "column": "n"},
    "changes": {"key": ("i",)},
}
"""Settings that a kind cannot do without, for those whose `column` is not all."""


def kinds() -> list[type[Check]]:
    found = []
    for module in pkgutil.iter_modules(checks.__path__):
        for _, member in inspect.getmembers(importlib.import_module(f"checks.{module.name}"), inspect.isclass):
            if issubclass(member, Check) and member is not Check and member.__module__ == f"checks.{module.name}":
                found.append(member)
    return found


def made(kind: type[Check], **more: Any) -> Check:
    settings = dict(GIVEN.get(kind.kind, {}))
    if "column" in kind.model_fields and kind.kind not in {"evidently", "freshness"}:
        settings["column"] = "t" if kind.kind in {"pattern", "allowed_values", "distinct"} else "n"
    return kind(**settings, **more)


def variants() -> Iterator[Any]:
    for kind in kinds():
        plain = made(kind)
        yield pytest.param(plain, id=kind.kind)
        yield pytest.param(made(kind, at_least=1, at_most=2), id=f"{kind.kind}:bounded")
        waiting = plain.for_labels()
        if waiting is not None:
            yield pytest.param(waiting, id=f"{kind.kind}:labels")
        table = Table(SCHEMA, "at", key=("i",))
        for check in kind.automatic(table):
            yield pytest.param(check, id=f"automatic:{check.name}")
    allowed = next(k for k in kinds() if k.kind == "allowed_values")
    yield pytest.param(allowed(column="t", values=("a", 1, True)), id="allowed_values:listed")  # type: ignore[call-arg]
    drift = next(k for k in kinds() if k.kind == "drift")
    yield pytest.param(drift(column="t", method="wasserstein"), id="drift:impossible")  # type: ignore[call-arg]
    columns = next(k for k in kinds() if k.kind == "columns")
    yield pytest.param(columns(expect={"n": "text", "gone": "int64"}), id="columns:expected")  # type: ignore[call-arg]


GRID = Grid(0.0, 1.0)
HISTOGRAM = Histogram.of(GRID, {0: (60, 0.1), 40: (40, 30.0)}, missing=3, nan=2)
KEYED = Keyed(tuple(f"{n:016x}" for n in range(9)), {"n": np.arange(9.0), "t": np.zeros(9)})
COUNTS = Counts({"a": 70, "b": 20}, other=10, distinct=15)

HOSTILE: dict[str, Any] = {
    "unanswered": None,
    "broken": Broken("the engine\nsaid no"),
    "null": Number(None, "add"),
    "nan": Number(math.nan),
    "infinite": Number(math.inf),
    "minus infinite": Number(-math.inf),
    "zero": Number(0),
    "negative": Number(-5),
    "huge": Number(1.7e308),
    "a number": Number(3),
    "no values": Histogram.of(GRID, {}, missing=100),
    "a histogram": HISTOGRAM,
    "infinities": Histogram.of(GRID, {3: (5, 1.0)}, positive_infinity=7, negative_infinity=1, nan=90),
    "overflowing": Histogram.of(GRID, {60000: (5, math.inf), 3: (9, 1.0)}),
    "no counts": Counts({}, missing=100),
    "counts": COUNTS,
    "keys": KEYED,
    "no keys": Keyed((), {}),
    "keys with odd values": Keyed(("0" * 16, "f" * 16), {"n": np.array([math.inf, math.nan])}, full=True),
    "other keys": Keyed(tuple(f"{n:016x}" for n in range(5, 16)), {"n": np.full(11, 1.7e308), "b": np.ones(11)}),
    "only others": Counts({}, other=100),
    "odd names": Counts({"a\nb": 5, "`\x00": 90, "": 5}, distinct=3),
}


def answers(check: Check, answer: Answer | None) -> Answers:
    return {} if answer is None else {question.key: answer for question in asked(check)}


def fitting(check: Check) -> Answers:
    """An answer of the right sort to everything."""

    def fit(question: Question) -> Answer:
        if isinstance(question, Distribution):
            return HISTOGRAM
        if isinstance(question, Keys):
            return KEYED
        return COUNTS if isinstance(question, Categories) else Number(3)

    return {q.key: fit(q) for q in asked(check) if not isinstance(q, Sample)}


def asked(check: Check) -> list[Question]:
    return list(check.questions(SCHEMA))


def view(now: Answers, past: list[Answers], rows: int, **more: Any) -> View:
    day = timedelta(days=1)
    history = [
        Past(Window(START - day * back, START - day * (back - 1)), rows, a, SCHEMA)
        for back, a in zip(range(len(past), 0, -1), past, strict=True)
    ]
    window = Window(START, START + day)
    return View(window, START + day, rows, **{"schema": SCHEMA, "answers": now, "history": history, **more})


def sound(check: Check, results: list[Result]) -> None:
    assert results
    assert len({(r.check, r.column, r.segment) for r in results}) == len(results)
    for r in results:
        assert r.kind == check.kind
        assert r.message.strip()
        assert "\n" not in r.message
        json.dumps(r.as_json(), allow_nan=False)
        json.dumps(r.details, allow_nan=False)
        if r.status in (Status.PASSED, Status.FAILED):
            assert r.score is not None
            assert 0 <= r.score <= 1e6
            assert (r.score > 1) == (r.status is Status.FAILED)
            assert r.bounds is not None
        else:
            assert r.score is None
        assert (r.severity is not None) == (r.status is Status.FAILED)


every_check = pytest.mark.parametrize("check", list(variants()))


def test_every_file_of_a_kind_holds_one_check() -> None:
    names = [kind.kind for kind in kinds()]
    assert len(names) == len(set(names))
    assert {"row_count", "freshness", "columns", "missing", "drift", "evidently"} <= set(names)


@pytest.mark.parametrize("kind", kinds(), ids=lambda k: k.kind)
def test_a_kind_explains_itself_and_its_settings(kind: type[Check]) -> None:
    assert inspect.getdoc(kind)
    assert kind.__doc__ != Check.__doc__
    for name, setting in kind.model_fields.items():
        assert setting.description, f"{kind.kind}.{name} has no description"


@every_check
def test_the_same_settings_give_the_same_name(check: Check) -> None:
    again = type(check)(**check.model_dump(by_alias=True, exclude_unset=True))
    assert again.name == check.name
    assert check.name.startswith(check.kind)
    named = check.model_copy(update={"id": "mine"})
    assert named.name == "mine"
    if check.kind != "sql":
        assert check.model_copy(update={"where": "a > 1"}).name != check.name


@every_check
def test_questions_are_asked_once(check: Check) -> None:
    keys = [question.key for question in asked(check)]
    assert len(keys) == len(set(keys))
    assert len({hash(question) for question in asked(check)}) == len(keys)
    assert keys == [question.key for question in asked(check)]


@every_check
@pytest.mark.parametrize("rows", [0, 100])
@pytest.mark.parametrize("hostile", HOSTILE)
def test_a_verdict_never_raises(check: Check, hostile: str, rows: int) -> None:
    odd, fit = answers(check, HOSTILE[hostile]), fitting(check)
    for past in ([], [odd] * 40, [fit] * 40):
        sound(check, judged(check, view(odd, past, rows)))
        sound(check, judged(check, view(fit, past, rows, reference=odd)))
        sound(check, judged(check, view(odd, past, rows, schema={})))
        sound(check, judged(check, view(fit, past, rows, segment="t=a", before={"other": "int64"}, empty_ok=True)))


@pytest.mark.parametrize("check", [c for c in variants() if asked(c.values[0])])
def test_what_was_not_measured_is_no_pass(check: Check) -> None:
    unanswered = judged(check, view({}, [], 100))
    broken = judged(check, view(answers(check, Broken("no")), [], 100))
    for results in (unanswered, broken):
        assert {r.status for r in results} <= {Status.ERRORED, Status.SKIPPED}


@pytest.mark.parametrize("check", [c for c in variants() if not c.values[0].bounded and asked(c.values[0])])
def test_learned_bounds_warn_but_never_page_before_they_are_settled(check: Check) -> None:
    found = judged(check, view(fitting(check), [fitting(check)] * 20, 100))
    odd = judged(check, view(answers(check, Number(1e9)), [fitting(check)] * 20, 100))
    assert not [r for r in (*found, *odd) if r.severity is Severity.CRITICAL]


def test_a_check_of_a_sample_reads_the_frame_it_is_given() -> None:
    import pandas as pd

    check = made(next(k for k in kinds() if k.kind == "evidently"))
    frames = {question.key: Rows(pd.DataFrame({"t": ["a"]})) for question in asked(check)}
    (result,) = judged(check, view(frames, [], 1))
    assert result.status is Status.ERRORED


# Purity.

FORBIDDEN = {
    "socket", "http", "urllib", "requests", "pathlib", "io", "shutil", "tempfile", "subprocess", "threading", "sqlite3", "time",
    "sqlalchemy", "duckdb", "psycopg", "slack_sdk", "smtplib", "monitor", "alerts", "ssl", "asyncio", "glob",
}  # fmt: skip
ONLY_FOR_TYPES = {"ibis"}
MAY_READ_THE_ENVIRONMENT = {"evidently_making.py"}


def files() -> list[Path]:
    return sorted(FOLDER.glob("*.py"))


def imported(tree: ast.AST) -> set[str]:
    names = set()
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            names |= {alias.name.partition(".")[0] for alias in node.names}
        elif isinstance(node, ast.ImportFrom):
            names.add((node.module or "").partition(".")[0])
    return names


def for_types_only(tree: ast.Module) -> set[str]:
    guarded = [n for n in tree.body if isinstance(n, ast.If) and getattr(n.test, "id", "") == "TYPE_CHECKING"]
    return set().union(*(imported(n) for n in guarded)) if guarded else set()


@pytest.mark.parametrize("file", files(), ids=lambda f: f.name)
def test_checks_know_no_connection_clock_file_or_network(file: Path) -> None:
    tree = ast.parse(file.read_text())
    names = imported(tree)
    assert not names & FORBIDDEN
    assert "os" not in names or file.name in MAY_READ_THE_ENVIRONMENT
    assert names & ONLY_FOR_TYPES <= for_types_only(tree)
    called = [node.func for node in ast.walk(tree) if isinstance(node, ast.Call)]
    assert not [f for f in called if isinstance(f, ast.Name) and f.id in {"open", "exec", "eval", "__import__"}]
    assert not [
        f for f in called if isinstance(f, ast.Attribute) and f.attr in {"now", "utcnow", "today", "time_ns", "perf_counter"}
    ]


def test_finding_the_kinds_imports_nothing_heavy() -> None:
    modules = ", ".join(f"checks.{m.name}" for m in pkgutil.iter_modules(checks.__path__))
    heavy = "{'numpy', 'pandas', 'ibis', 'duckdb', 'scipy', 'sklearn'}"
    code = f"import sys, {modules}; import checks; print([m for m in {heavy} if m in sys.modules], 'evidently' in sys.modules)"
    ran = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True, cwd=FOLDER.parent)
    assert ran.stdout.split() == ["[]", "False"]
