"""docs/checks.md says of every kind what the code says, and its worked example works."""

from __future__ import annotations

import importlib.util
import inspect
import re
import sys
import tomllib
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from pydantic import TypeAdapter

from checks import learned
from checks.base import Check, Table, View
from checks.pending import judged
from checks.profile import Number
from checks.result import Status
from checks.window import Window
from monitor import kinds

PAGE = (Path(__file__).parent.parent / "docs/checks.md").read_text(encoding="utf-8")
EVERY = kinds.check_kinds()
TABLE = Table({"n": "float64", "t": "string", "b": "boolean", "at": "timestamp"}, time_column="at", key=("t",))


def section(kind: str) -> str:
    return PAGE.split(f"\n### {kind}\n")[1].split("\n### ")[0].split("\n## ")[0]


def written(body: str) -> dict[str, str]:
    """Setting -> what the page says of it."""
    return dict(re.findall(r"^\| `(\w+)` \| (.*?) \|$", body, re.MULTILINE))


def settings(kind: type[Check]) -> dict[str, str]:
    """A kind's own settings and those that it has in words of its own."""
    shared = {name: setting.description for name, setting in Check.model_fields.items()}
    return {
        setting.alias or name: str(setting.description)
        for name, setting in kind.model_fields.items()
        if setting.description != shared.get(name)
    }


def test_the_page_has_a_section_for_every_kind_and_no_other() -> None:
    assert set(re.findall(r"^### (\w+)$", PAGE, re.MULTILINE)) == set(EVERY)


@pytest.mark.parametrize("kind", sorted(EVERY))
def test_a_section_says_what_the_docstring_says(kind: str) -> None:
    said = " ".join(section(kind).split())
    assert " ".join((inspect.getdoc(EVERY[kind]) or "").split()) in said


@pytest.mark.parametrize("kind", sorted(EVERY))
def test_a_section_has_every_setting_in_the_code_s_words(kind: str) -> None:
    assert written(section(kind)) == settings(EVERY[kind])


@pytest.mark.parametrize("kind", sorted(EVERY))
def test_a_section_says_whether_a_table_gets_it_unasked(kind: str) -> None:
    assert ("*Automatic" in section(kind)) == bool(list(EVERY[kind].automatic(TABLE)))


def test_the_settings_that_all_have_are_in_the_code_s_words() -> None:
    assert written(PAGE.split("\n## Settings that every check has\n")[1].split("\n## ")[0]) == {
        name: str(setting.description) for name, setting in Check.model_fields.items()
    }


def test_the_numbers_on_how_bounds_are_learned_are_the_code_s() -> None:
    said = PAGE.split("\n## How bounds are learned\n")[1].split("\n## ")[0]
    for number in (learned.ENOUGH, learned.SETTLED, learned.LONGEST):
        assert re.search(rf"\b{number} windows\b", said)


@pytest.mark.parametrize("kind", sorted(EVERY))
def test_an_example_of_a_section_is_accepted(kind: str) -> None:
    examples = re.findall(r"```toml\n(.*?)```", section(kind), re.DOTALL)
    assert examples
    for example in examples:
        for given in tomllib.loads(example)["checks"]:
            assert given.pop("kind") == kind
            TypeAdapter(EVERY[kind]).validate_python(given)


@pytest.fixture
def example(tmp_path: Path) -> Iterator[type[Check]]:
    """The check of the worked example, as if its file lay in the package."""
    code = PAGE.split("`checks/longest.py`")[1].split("```python\n")[1].split("```")[0]
    file = tmp_path / "longest.py"
    file.write_text(code, encoding="utf-8")
    spec = importlib.util.spec_from_file_location("checks.longest", file)
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    sys.modules["checks.longest"] = module
    spec.loader.exec_module(module)
    yield module.Longest
    del sys.modules["checks.longest"]


def test_the_worked_example_is_a_check(example: type[Check]) -> None:
    check = example(column="t", at_most=100)  # type: ignore[call-arg]
    assert check.name == "longest(t)"
    (question,) = check.questions(TABLE.schema)
    start = datetime(2026, 3, 2, tzinfo=UTC)
    window = Window(start, start + timedelta(days=1))
    (result,) = judged(check, View(window, window.end, 50, TABLE.schema, {question.key: Number(140, "max")}))
    assert result.status is Status.FAILED
    assert result.message == "longest(t) is 140, at most 100 allowed"
    assert [c.name for c in example.automatic(TABLE)] == ["longest(t)"]
