"""Drift by every method: p-values against bounds and history, what is refused, what runs on samples, and docs/distances.md."""

from __future__ import annotations

import importlib.util
import inspect
import re
import sys
from collections.abc import Iterator, Sequence
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
from numpy.typing import NDArray
from pydantic import ValidationError

from checks import distance
from checks.base import Past, View
from checks.distance import methods
from checks.drift import Drift
from checks.grid import Grid
from checks.histogram import Cells, Histogram
from checks.pending import judged
from checks.profile import Answer, Counts, Rows
from checks.question import Sample
from checks.result import Family, Result, Severity, Status
from checks.window import Window

PAGE = (Path(__file__).parent.parent / "docs/distances.md").read_text(encoding="utf-8")
EVERY = methods()
START = datetime(2026, 3, 2, tzinfo=UTC)
DAY = timedelta(days=1)
GRID = Grid(0.0, 1.0)
SCHEMA = {"x": "float64", "t": "string"}
Values = NDArray[np.float64]


def numbers(values: Values) -> dict[str, Answer]:
    keys = GRID.keys(values)
    places = [(k, values[keys == k]) for k in np.unique(keys).tolist()]
    cells = [(k, len(inside), float(inside.sum()), bool(inside.min() == inside.max())) for k, inside in places]
    return {"distribution(x)": Histogram({GRID: Cells.of(cells)}, low=float(values.min()), high=float(values.max()))}


def texts(**counts: int) -> dict[str, Answer]:
    return {"categories(t)": Counts(counts, distinct=len(counts))}


def view(answers: dict[str, Answer], past: Sequence[dict[str, Answer]] = (), **more: Any) -> View:
    history = [
        Past(Window(START - DAY * b, START - DAY * (b - 1)), 1000, a, SCHEMA)
        for b, a in zip(range(len(past), 0, -1), past, strict=True)
    ]
    return View(Window(START, START + DAY), START + DAY, 1000, SCHEMA, answers, history=history, **more)


def only(check: Drift, seen: View) -> Result:
    (result,) = judged(check, seen)
    return result


def normal(seed: int, centre: float = 0.0, rows: int = 1000) -> dict[str, Answer]:
    return numbers(np.random.default_rng(seed).normal(centre, 1, rows))


PAST = [normal(seed) for seed in range(40)]
MIXES = [texts(a=600 + s % 7, b=300 - s % 5, c=100) for s in range(40)]


@pytest.mark.parametrize("name", sorted(name for name, m in EVERY.items() if m.numbers))
def test_every_method_for_numbers_finds_what_moved_by_its_own_history(name: str) -> None:
    check = Drift(column="x", method=name)
    still = only(check, view(normal(99), PAST))
    assert still.status is Status.PASSED, still.message
    far = only(check, view(normal(99, 3.0), PAST))
    # Anderson's ends at 0.001, which is not three powers of ten below what is usual.
    known = Status.PASSED if name == "anderson" else Status.FAILED
    assert far.status is known, far.message
    assert far.bounds is not None
    assert far.bounds.learned
    assert (far.bounds.at_least if EVERY[name].p_value else far.bounds.at_most) is not None
    assert EVERY[name].title in far.message


@pytest.mark.parametrize("name", sorted(name for name, m in EVERY.items() if m.categories and not m.sampled))
def test_every_method_for_categories_finds_what_moved_by_its_own_history(name: str) -> None:
    past = [texts(a=600 + s % 7, b=400 - s % 5) for s in range(40)] if name == "fisher_exact" else MIXES
    check = Drift(column="t", method=name)
    still = only(check, view(past[3], past))
    assert still.status is Status.PASSED, still.message
    far = only(check, view(texts(a=100, b=900), past))
    assert far.status is Status.FAILED, far.message


def test_a_p_value_fails_below_its_bound() -> None:
    check = Drift(column="x", method="ks", at_least=0.05)
    far = only(check, view(normal(1, 0.3), reference=normal(2)))
    assert (far.status, far.severity) == (Status.FAILED, Severity.WARNING)
    assert far.score is not None
    assert far.score > 1
    assert re.match(r"drift\(x\) is .*, at least 0.05 needed; ks p-value against the reference; the mean is", far.message)
    assert only(check, view(normal(1), reference=normal(2))).status is Status.PASSED


def test_a_window_more_alike_than_chance_allows_fails_where_that_is_asked() -> None:
    check = Drift(column="x", method="ks", at_least=0.001, at_most=0.9999)
    assert only(check, view(normal(2), reference=normal(2))).status is Status.FAILED
    assert only(check, view(normal(1), reference=normal(2))).status is Status.PASSED


def test_a_p_value_bounded_from_above_alone_is_refused() -> None:
    with pytest.raises(
        ValidationError, match=r"ks is a p-value, low where the values drifted: give at_least \(Evidently's own is 0.05\)"
    ):
        Drift(column="x", method="ks", at_most=0.05)
    Drift(column="x", method="wasserstein", at_most=0.05)


def test_a_method_that_is_none_is_refused_with_the_nearest() -> None:
    with pytest.raises(ValidationError, match=r"there is no method wasserstien; did you mean wasserstein\?"):
        Drift(column="x", method="wasserstien")
    with pytest.raises(ValidationError, match="there is no method qqq; there are auto, "):
        Drift(column="x", method="qqq")


def test_a_learned_bound_of_a_p_value_is_told_as_one() -> None:
    far = only(Drift(column="x", method="t_test"), view(normal(99, 1.0), PAST))
    assert far.status is Status.FAILED
    assert re.search(
        r"at least [\d.e-]+ needed \(usual: [\d.e-]+ to [\d.e-]+, 33 windows, learning: 33 of 35\); "
        r"t-test p-value against the last 28 windows",
        far.message,
    )
    low, high = (far.details or {})["usual"]
    assert 0 < low < high <= 1


def test_a_low_p_value_is_no_news_where_it_is_always_low() -> None:
    """A Tuesday differs from a month, and of a large table significantly: that is what is usual."""
    wandering = [normal(s, 0.4 * (s % 3 - 1)) for s in range(40)]
    result = only(Drift(column="x", method="ks"), view(normal(98, 0.4), wandering))
    assert result.status is Status.PASSED
    assert result.value is not None
    assert result.value < 1e-10


def test_a_p_value_without_history_is_still_learning() -> None:
    result = only(Drift(column="x", method="ks"), view(normal(99), PAST[:9]))
    assert result.status is Status.SKIPPED
    assert "still learning" in result.message


def test_a_method_that_is_not_defined_for_a_column_says_so() -> None:
    many = only(Drift(column="t", method="fisher_exact"), view(MIXES[0], MIXES))
    assert many.status is Status.ERRORED
    assert "at most two values; take chisquare" in many.message
    same = numbers(np.full(100, 5.0))
    flat = only(Drift(column="x", method="es"), view(same, [same] * 10))
    assert flat.status is Status.ERRORED
    assert "quartiles differ" in flat.message
    wrong = only(Drift(column="t", method="ks"), view(MIXES[0], MIXES))
    assert wrong.status is Status.ERRORED
    assert "ks needs numbers; for this column take one of TVD, chisquare" in wrong.message
    assert "chisquare needs categories" in only(Drift(column="x", method="chisquare"), view(normal(1), PAST)).message


def test_costly_methods_leave_the_history_alone_where_bounds_are_given(monkeypatch: pytest.MonkeyPatch) -> None:
    def refused(*_: object) -> None:
        raise AssertionError("the history was looked at")

    monkeypatch.setattr(Drift, "_points", refused)
    check = Drift(column="t", method="TVD", at_least=0.05)
    assert only(check, view(MIXES[0], MIXES)).status is Status.PASSED


def test_masked_values_are_not_in_the_message() -> None:
    result = only(Drift(column="t"), view(texts(secret=900, b=100), MIXES, masked=frozenset({"t"})))
    assert result.status is Status.FAILED
    assert "secret" not in result.message


# On samples


def sampled(now: list[str], before: list[str]) -> dict[str, Answer]:
    frames = {"window": now, "reference": before}
    return {Sample(of).key: Rows(pd.DataFrame({"t": rows})) for of, rows in frames.items()}  # type: ignore[arg-type]


WORDS = [f"order {i} was delivered on time to the customer" for i in range(300)]
OTHERS = [f"error {i}: null pointer in module seven" for i in range(300)]


@pytest.mark.parametrize("name", sorted(name for name, m in EVERY.items() if m.sampled))
def test_words_are_compared_on_samples_by_evidently(name: str) -> None:
    check = Drift(column="t", method=name)
    assert [q.key for q in check.questions(SCHEMA)] == ["sample(window,5000)", "sample(reference,5000)"]
    far = only(check, view(sampled(OTHERS, WORDS)))
    assert (far.status, far.kind, far.family) == (Status.FAILED, "drift", Family.DRIFT)
    assert far.message.endswith(f"; {name} on samples of 300 and 300 rows")
    assert only(check, view(sampled(WORDS[:150], WORDS[150:]))).status is Status.PASSED
    assert only(Drift(column="t", method=name, at_most=0.999999), view(sampled(WORDS[:150], WORDS[150:]))).status is Status.PASSED


def test_samples_are_not_taken_of_segments_and_a_missing_one_is_told() -> None:
    check = Drift(column="t", method="abs_text_content_drift")
    assert judged(check, view(sampled(OTHERS, WORDS), segment="country=DE")) == []
    result = only(check, view({}))
    assert result.status is Status.ERRORED
    assert "there is no sample" in result.message or "was not measured" in result.message


# The page


def section(name: str) -> str:
    return PAGE.split(f"\n### {name}\n")[1].split("\n### ")[0].split("\n## ")[0]


def test_the_page_has_a_section_for_every_method_and_no_other() -> None:
    assert sorted(re.findall(r"^### (\w+)$", PAGE, re.MULTILINE)) == sorted(EVERY)


@pytest.mark.parametrize("name", sorted(EVERY))
def test_a_section_says_what_the_docstring_says_and_evidently_s_threshold(name: str) -> None:
    said = " ".join(section(name).split())
    assert " ".join((inspect.getdoc(type(EVERY[name])) or "").split()) in said
    threshold = EVERY[name].threshold
    assert re.findall(r"Evidently's own threshold: ([\d.]+)\.", said) == ([] if threshold is None else [f"{threshold:g}"])
    sort = {(True, True): "numbers and categories", (True, False): "numbers", (False, True): "categories"}
    fits = "texts" if EVERY[name].sampled else sort[EVERY[name].numbers, EVERY[name].categories]
    assert f"For {fits}." in said


@pytest.fixture
def example(tmp_path: Path) -> Iterator[None]:
    """The method of the worked example, as if its file lay in the package."""
    code = "from checks.distance import Distance\n" + PAGE.split("```python\n")[1].split("```")[0]
    file = tmp_path / "distances_example.py"
    file.write_text("from __future__ import annotations\n" + code, encoding="utf-8")
    spec = importlib.util.spec_from_file_location("checks.distances_example", file)
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    sys.modules["checks.distances_example"] = module
    spec.loader.exec_module(module)
    yield
    del sys.modules["checks.distances_example"]


def test_the_worked_example_is_found_and_works(example: None, monkeypatch: pytest.MonkeyPatch) -> None:
    import pkgutil

    listed = pkgutil.iter_modules

    def with_example(path: Any) -> list[Any]:
        return [*listed(path), pkgutil.ModuleInfo(None, "distances_example", False)]  # type: ignore[arg-type]

    monkeypatch.setattr(pkgutil, "iter_modules", with_example)
    found = distance.methods.__wrapped__()
    assert set(found) == {*EVERY, "canberra"}
    from checks.masses import aligned

    before, now = aligned([Counts({"a": 50, "b": 50}), Counts({"a": 100})])
    assert found["canberra"](now, before) == pytest.approx(0.5 / 1.5 + 1)
