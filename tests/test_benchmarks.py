"""The benchmarks' own arithmetic, and a run that is small enough for every day. No time is asserted."""

from __future__ import annotations

import json
import os
import re
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from benchmarks import __main__ as bench
from benchmarks import comparison, growth, judging, page, peers, tables
from benchmarks.bare import Bare
from benchmarks.children import ROOT, Child, Failed, run, started
from benchmarks.comparing import BARE, FEWEST, ONCE, WARM, Compared, Measure, compared, take_turns
from benchmarks.frames import table as table_sql
from benchmarks.frames import write
from benchmarks.growing import Grown, window
from benchmarks.landing import PREFIX, Landing, facts, folder, too_big

# Words and numbers.


def test_figures_are_written_as_people_say_them() -> None:
    assert [tables.seconds(took) for took in (None, 0.0351, 1.239, 12.34, 184.2)] == ["–", "0.035 s", "1.24 s", "12.3 s", "184 s"]
    assert [tables.memory(held) for held in (None, 612_000_000, 1_960_000_000)] == ["–", "612 MB", "1.96 GB"]
    assert [tables.ratio(*pair) for pair in ((1, 124), (0.9, 1.0), (3, 1))] == ["1/124", "0.90 x", "3.00 x"]
    assert (tables.met(2.0, 2.0), tables.met(2.01, 2.0)) == ("yes", "no")


def test_a_table_is_markdown_with_figures_on_the_right() -> None:
    lines = tables.table(["", "rows"], [["a", "10"], ["longer", "1,000"]]).splitlines()
    assert lines == ["|        |  rows |", "| ------ | ----: |", "| a      |    10 |", "| longer | 1,000 |"]


def sized(rows: int, **seconds: float) -> Compared:
    names = {"warm": WARM, "once": ONCE, "file": BARE["parquet"], "copy": BARE["table"], "evidently": "Evidently"}
    found = {
        names[key]: Measure([took, took * 2, took / 2], [took * 3], peak=int(took * 1e9), startup=1.0)
        for key, took in seconds.items()
    }
    return Compared(rows, found)


def test_limits_are_told_beside_what_was_measured() -> None:
    told = comparison.section([sized(1_000_000, warm=0.5, once=3.0, file=0.4, copy=0.2, evidently=100.0)])
    assert re.search(r"warm, against DuckDB by hand\s+\| +2\.50 x \| +at most 2 x \| +no", told)
    assert re.search(r"warm, against Evidently's drift \+ summary\s+\| +1/200 \| +at most 1/100 \| +yes", told)
    assert re.search(r"whole, against Evidently's drift \+ summary\s+\| +1/33\.3 \| +at most 1/50 \| +no", told)
    assert re.search(r"datavigil, warm, memory\s+\| +500 MB \| +at most 600 MB \| +yes", told)
    assert re.search(r"datavigil once, memory\s+\| +3\.00 GB \| +at most 600 MB \| +no", told)


def test_limits_are_for_one_size_only() -> None:
    assert "wanted" not in comparison.section([sized(10_000, warm=0.5, once=3.0, file=0.4, copy=0.2)])


def test_it_says_where_others_are_better() -> None:
    told = comparison.section([sized(10_000, warm=0.1, once=2.0, file=0.05, copy=0.2, evidently=5.0)])
    assert told.partition("Where we lose:\n\n")[2].splitlines() == [
        "- DuckDB by hand is faster than datavigil, warm: 0.050 s to our 0.100 s at 10,000 rows",
        "- DuckDB by hand is smaller than datavigil, warm: 50 MB to our 100 MB at 10,000 rows",
        "- DuckDB by hand is faster than datavigil once: 0.050 s to our 2 s at 10,000 rows",
        "- DuckDB by hand is smaller than datavigil once: 50 MB to our 2.00 GB at 10,000 rows",
    ]


def test_duckdb_by_hand_counts_with_its_faster_plan() -> None:
    told = comparison.section(
        [sized(10_000, warm=0.1, once=2.0, file=0.3, copy=0.2), sized(20_000, warm=0.1, once=2.0, file=0.3, copy=0.4)]
    )
    assert re.search(r"^\| DuckDB by hand +\| +0\.200 s \| +0\.300 s \|$", told, re.MULTILINE)


def test_a_peer_that_is_not_there_is_named_with_the_reason() -> None:
    size = sized(10_000, warm=0.1, once=2.0, file=0.05, copy=0.2)
    size.left_out["whylogs"] = "it needs Python 3.11 or 3.12, and none was found"
    assert comparison.section([size]).endswith("Not measured:\n\n- whylogs: it needs Python 3.11 or 3.12, and none was found")


def test_growth_is_told_per_row_against_the_first() -> None:
    rows = [Grown(1_000_000, 25, 10**8, 1.0, 500, 3.0, 600), Grown(10_000_000, 25, 10**9, 14.0, 2_100_000_000, 20.0, 700)]
    told = growth.section(rows, [], [], ["100,000,000 rows need 18 GB"])
    assert re.search(r"10,000,000 \|.*\| +56\.0 ns \| +1\.40 x \|", told)
    assert re.search(r"time per row against 1,000,000 \| +1\.40 x \| +at most 1\.3 x \| +no", told)
    assert re.search(r"10,000,000 rows x 25 columns, memory\s+\| +2\.10 GB \| +at most 2 GB \| +no", told)
    assert told.endswith("- not measured: 100,000,000 rows need 18 GB")


# The page.


def test_every_section_has_its_place_on_the_page() -> None:
    text = page.PAGE.read_text(encoding="utf-8")
    for name in bench.SECTIONS:
        assert "what was measured" in page.written(text, name, "what was measured")


def test_a_section_replaces_what_stood_there_and_nothing_else() -> None:
    once = page.written("a\n<!-- growth -->\nold\n<!-- end of growth -->\nb\n", "growth", "new")
    assert once == "a\n<!-- growth -->\n\nnew\n\n<!-- end of growth -->\nb\n"
    assert page.written(once, "growth", "new") == once


def test_a_page_without_the_marks_is_refused() -> None:
    with pytest.raises(page.NoPlace, match="<!-- growth -->"):
        page.written("no marks here", "growth", "new")


def test_what_is_written_says_when_and_on_what_and_names_nobody() -> None:
    told = page.dated("datavigil 0.1.0")
    assert re.match(r"Measured \d{4}-\d\d-\d\d on \d+ cores \(.+\), \d+ GB, ", told)
    assert os.uname().nodename not in told


# Folders and peers.


def test_big_files_are_gone_when_a_run_is_interrupted(tmp_path: Path) -> None:
    def interrupted() -> None:
        with folder(tmp_path) as made:
            (made / "big.parquet").write_bytes(b"0")
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        interrupted()
    assert not list(tmp_path.iterdir())


def test_what_a_killed_run_left_goes_and_what_another_uses_stays(tmp_path: Path) -> None:
    dead = subprocess.Popen([sys.executable, "-c", ""])
    dead.wait()
    (tmp_path / f"{PREFIX}{dead.pid}-x").mkdir()
    used = tmp_path / f"{PREFIX}{os.getpid()}-x"
    used.mkdir()
    with folder(tmp_path) as made:
        assert sorted(tmp_path.iterdir()) == sorted([used, made])


def test_a_table_without_room_on_the_disk_is_not_written(tmp_path: Path) -> None:
    assert too_big(tmp_path, 1000) is None
    assert "GB free" in (too_big(tmp_path, 10**12) or "")


def test_peers_are_pinned_to_versions_and_nothing_else() -> None:
    for peer in peers.PEERS:
        if peer.own:
            lines = (ROOT / "benchmarks" / f"peers-{peer.name}.txt").read_text(encoding="utf-8").splitlines()
            assert all(re.fullmatch(r"#.*|[A-Za-z0-9._-]+==[A-Za-z0-9._]+", line) for line in lines)


def test_a_peer_without_an_environment_says_so() -> None:
    with pytest.raises(peers.NotHere, match="make bench"):
        peers.Peer("nobody", "Nobody").command(install=False)


# Programs.


def test_a_program_that_fails_says_why() -> None:
    with pytest.raises(Failed, match="no such thing"):
        run([sys.executable, "-c", "raise SystemExit('no such thing')"])


def test_a_child_that_ends_instead_of_answering_says_why() -> None:
    with started([sys.executable, "-c", "print('{\"a\": 1}', flush=True); input(); raise SystemExit('gone')"]) as child:
        with pytest.raises(Failed, match="gone"):
            child.ask("work")
        assert child.ready == {"a": 1}


def test_memory_is_that_of_all_processes_together() -> None:
    hold = "import subprocess, sys; held = b'x' * 40_000_000; "
    child = f"{hold} print('there', flush=True); input()"
    call = f"{hold} p = subprocess.Popen([sys.executable, '-c', {child!r}], stdin=-1, stdout=-1); p.stdout.readline(); "
    parent = Child([sys.executable, "-c", f"{call} print('{{}}', flush=True); input(); print('{{}}', flush=True); input()"])
    parent.ask()
    assert 80e6 < parent.end() < 200e6


def test_processor_time_is_that_of_all_processes() -> None:
    busy = "import time\nwhile time.process_time() < 0.4: pass\n"
    both = f"import subprocess, sys\nchild = subprocess.Popen([sys.executable, '-c', {busy!r}])\n{busy}\nchild.wait()"
    assert 0.4 < run([sys.executable, "-c", both]).cpu < 2.0


class Turn:
    """A contestant that writes down when it is its turn."""

    def __init__(self, name: str, seen: list[str], seconds: float = 0.1) -> None:
        self.name, self.seen, self.seconds = name, seen, seconds

    def go(self, number: int) -> dict[str, Any]:
        if self.name == "breaks" and number:
            raise Failed("first line\nout of memory")
        self.seen.append(f"{self.name}{number}")
        return {"seconds": self.seconds, "cpu": 1.5}

    def end(self) -> int:
        return 7


def test_they_take_turns_and_who_is_slow_goes_once() -> None:
    seen: list[str] = []
    result = Compared(10, {})
    names = {"a": 0.1, "slow": 61.0, "long": 7.0, "breaks": 0.1, "b": 0.1}
    take_turns(result, [(name, lambda name=name, took=took: Turn(name, seen, took)) for name, took in names.items()])  # type: ignore[misc]
    assert seen == [
        *("a0", "slow0", "long0", "breaks0", "b0"),
        *("a1", "long1", "b1"),
        *("a2", "long2", "b2"),
        *("a3", "b3"),
        *("a4", "b4"),
    ]
    assert set(result.found) == {"a", "slow", "long", "b"}
    assert all(measure.peak == 7 for measure in result.found.values())
    assert result.left_out == {"breaks": "10 rows: out of memory"}


def test_ours_must_not_be_left_out() -> None:
    with pytest.raises(Failed):
        take_turns(Compared(10, {}), [(WARM, lambda: Turn("breaks", [])), (ONCE, lambda: Turn("b", []))])


def test_the_facts_of_once_are_found() -> None:
    assert facts(json.dumps({"windows": [{"state": "done"}]}, indent=2)) == {"state": "done"}


@pytest.mark.parametrize("printed", ["", "nothing", " 99 % done {}", '{"windows": []}'])
def test_no_facts_are_a_failure(printed: str) -> None:
    with pytest.raises(Failed):
        facts(printed)


# A small run.


def test_tables_are_the_same_each_time_and_drift_moves_them(tmp_path: Path) -> None:
    import duckdb

    def means(seed: int, drift: float) -> list[Any]:
        write(tmp_path / "a.parquet", table_sql(2000, 25, seed, drift))
        with duckdb.connect() as connection:
            found = connection.execute(f"SELECT avg(n000), avg(n013), count(n002), count(*) FROM '{tmp_path}/a.parquet'")
            return list(found.fetchall()[0])

    plain = means(1, 0.0)
    assert means(1, 0.0) == plain != means(2, 0.0)
    assert means(1, 0.05)[0] == pytest.approx(plain[0] + 0.05)
    assert plain[2] < plain[3] == 2000


@pytest.mark.parametrize("plan", BARE)
def test_duckdb_by_hand_counts_every_value(plan: str, tmp_path: Path) -> None:
    import duckdb

    file = str(tmp_path / "a.parquet")
    write(Path(file), table_sql(3000))
    bare = Bare(file)
    assert bare.measure(plan, file) > 25
    scalars, grids, *tops = bare.queries(f"read_parquet('{file}')")
    with duckdb.connect() as connection:
        rows, first, *_ = connection.execute(scalars).fetchall()[0]
        on_grid = sum(n for q, _, n, _ in connection.execute(grids).fetchall() if q == 0)
        in_tops = sum(n for _, n in connection.execute(tops[0]).fetchall())
    assert rows == 3000 == in_tops
    assert on_grid == first


def test_a_small_comparison_measures_all_of_ours(tmp_path: Path) -> None:
    size = compared(tmp_path, 10_000, peers=False, install=False, history=2)
    assert set(size.found) == {WARM, ONCE, *BARE.values()}
    assert all(len(m.seconds) >= FEWEST and m.peak > 50e6 for m in size.found.values())
    assert size.found[WARM].said["rows"] == 10_000
    assert size.found[WARM].said["state"] == "done"
    told = comparison.section([size])
    assert "10,000 rows" in told
    assert "duckdb 2" in comparison.versions([size])


def test_a_small_growth_leaves_no_file(tmp_path: Path) -> None:
    landing = Landing(tmp_path, 2)
    landing.make(range(2), 1000)
    landing.remember()
    grown = window(landing, 2000, 25)
    assert (grown.rows, grown.columns) == (2000, 25)
    assert min(grown.warm, grown.once, grown.warm_peak, grown.once_peak, grown.file) > 0
    assert not landing.file(2).exists()
    assert "2,000" in growth.section([grown], [], [], [])


def test_what_other_programs_print_is_dated(tmp_path: Path) -> None:
    assert bench.printed_by("no_such_program", [], "{}") is None
    told = bench.printed_by("frames", ["--rows", "10", str(tmp_path / "a.parquet")], "<{}>")
    assert told
    assert re.fullmatch(r"Measured .+\n\n<>", told)
    assert (tmp_path / "a.parquet").exists()


def test_the_command_knows_its_sections(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit):
        bench.main(["--only", "nothing"])
    assert "start-up" in capsys.readouterr().err


def test_without_make_it_is_still_a_program() -> None:
    assert "--write" in run([sys.executable, "-m", "benchmarks", "--help"]).printed


# The judgement.


def test_the_judgement_that_is_timed_is_one_of_every_automatic_check(tmp_path: Path) -> None:
    job = judging.measured(judging.written(tmp_path, windows=10, rows=60), windows=10)
    judge, checks = judging.judgement(job)
    results, apart = judge()
    assert (len(job.history), apart) == (9, [])
    assert {r.check for r in results} == {c.name for c in checks}
    assert {str(r.status) for r in results} <= {"passed", "skipped", "failed"}
    assert judging.took(judge, tries=1) > 0
