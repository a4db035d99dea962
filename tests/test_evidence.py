"""Bad rows in messages: only where the dataset allows it, few and short, and never a masked column."""

from __future__ import annotations

from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest
from pydantic import SecretStr

from checks.result import Result
from checks.window import Window
from monitor.dataset import Dataset
from monitor.job import ROWS, Job
from monitor.kinds import check_kinds
from monitor.sources.files import Files
from monitor.worker import measure_window
from tests.test_commands import AT, SCREEN, Shell

WINDOW = Window(datetime(2026, 11, 22, tzinfo=UTC), datetime(2026, 11, 23, tzinfo=UTC))
MISSING = {"kind": "missing", "column": "amount", "at_most": 0.1}
RANGE = {"kind": "value_range", "column": "amount", "at_least": 0, "at_most": 100}


def judged(folder: Path, text: str, *checks: dict[str, Any], **more: Any) -> list[Result]:
    (folder / "2026-11-22.csv").write_text(text)
    made = [check_kinds()[c["kind"]].model_validate({k: v for k, v in c.items() if k != "kind"}) for c in checks]
    settings = {"auto": False, "checks": tuple(made), "rows": True, **more}
    dataset = Dataset(name="orders", table=f"{folder}/{{start:%Y-%m-%d}}.csv", **settings)
    return list(measure_window(Job(dataset, Files(url=SecretStr("")), WINDOW, WINDOW.end)).results)


def shown(results: list[Result], kind: str) -> list[str]:
    (result,) = [r for r in results if r.kind == kind]
    found: list[str] = (result.details or {}).get(ROWS, [])
    return found


def test_the_rows_of_what_is_missing_and_of_what_is_out_of_range(tmp_path: Path) -> None:
    text = "id,amount,note\n1,5,fine\n2,,lost\n3,500.5,high\n4,-1,low\n"
    found = judged(tmp_path, text, MISSING, RANGE)
    assert shown(found, "missing") == ["amount=NULL · id=2 · note=lost"]
    assert sorted(shown(found, "value_range")) == ["amount=-1 · id=4 · note=low", "amount=500.5 · id=3 · note=high"]


def test_masked_columns_are_not_among_them(tmp_path: Path) -> None:
    text = "id,amount,mail\n1,5,a@example.com\n2,,b@example.com\n"
    assert shown(judged(tmp_path, text, MISSING, mask=("mail",)), "missing") == ["amount=NULL · id=2"]
    assert shown(judged(tmp_path, text, MISSING, mask=("mail", "amount")), "missing") == ["id=2"]
    assert shown(judged(tmp_path, text, MISSING, mask=("mail", "amount", "id")), "missing") == []


def test_few_rows_few_columns_and_short_values(tmp_path: Path) -> None:
    names = ["amount", *(f"c{n}" for n in range(20))]
    line = "," + ",".join(["x" * 5000] * 20)
    rows = shown(judged(tmp_path, "\n".join([",".join(names), *[line] * 50]), MISSING), "missing")
    assert len(rows) == 5
    assert all(row.count(" · ") == 7 and len(row) < 300 for row in rows)


def test_the_checks_own_condition_holds_for_the_rows_too(tmp_path: Path) -> None:
    text = "id,amount,country\n1,,DE\n2,,AT\n3,4,AT\n"
    found = judged(tmp_path, text, {**MISSING, "where": "country = 'AT'"})
    assert shown(found, "missing") == ["amount=NULL · id=2 · country=AT"]


def test_what_can_show_no_rows_stands_without_them(tmp_path: Path) -> None:
    text = "id,amount,note\n" + "".join(f"{n},1,n\n" for n in range(9))
    (found,) = judged(tmp_path, text, {"kind": "row_count", "at_least": 100})
    assert (str(found.status), ROWS in (found.details or {})) == ("failed", False)
    assert shown(judged(tmp_path, text, MISSING), "missing") == [], "what passed shows none"


def config(rows: str, channel: str = SCREEN) -> str:
    checks = 'checks = [{kind = "missing", column = "amount", at_most = 0.1, severity = "critical"}]\n'
    table = '[datasets.orders]\ntable = "landing/orders-{start:%Y-%m-%d}.csv"\nevery = "1d"\nauto = false\n'
    return f"{table}{rows}{checks}{channel}"


@pytest.mark.parametrize(("rows", "there"), [("", False), ('rows = true\nmask = ["mail"]\n', True)])
def test_rows_reach_the_message_and_the_store_only_where_they_may(shell: Shell, rows: str, there: bool) -> None:
    shell.config(config(rows))
    text = "amount,planted,mail\n" + ",PLANTED,SECRET\n" * 9
    (shell.folder / "landing" / "orders-2026-11-22.csv").write_text(text)

    told = shell("once", "--at", AT)

    assert "CRITICAL" in told.out
    assert ("-- amount=NULL · planted=PLANTED" in told.out) is there
    kept = b"".join(path.read_bytes() for path in shell.folder.glob("datavigil.db*"))
    assert (b"PLANTED" in kept) is there
    assert b"SECRET" not in kept
    assert "SECRET" not in told.out + told.err
    week = shell("summary", "--week", "2026-W48")
    assert "orders: bad values" in week.out
    assert "PLANTED" not in week.out


@pytest.fixture
def shell(tmp_path: Path) -> Shell:
    return Shell(tmp_path)
