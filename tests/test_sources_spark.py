"""Spark: what a url means, what goes wrong, and that no Java program outlives its worker."""

from __future__ import annotations

import gc
import os
import re
import subprocess
import sys
from collections.abc import Iterator
from contextlib import suppress
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from pydantic import SecretStr

from checks.profile import Broken, Number
from checks.question import Categories, Distribution, Population, Query, Question, Scalar
from checks.window import Window
from monitor.measuring.measure import measure, reading
from monitor.sources import spark_session
from monitor.sources.base import Place, SourceDown, SourceError
from monitor.sources.faults import secrets
from monitor.sources.spark import Spark
from monitor.sources.spark_session import Address

DAY = Window(datetime(2024, 3, 5, tzinfo=UTC), datetime(2024, 3, 6, tzinfo=UTC))
ENDLESS = "select a.id from range(1000000000) a cross join range(100000) b where (a.id * b.id) % 7 = 3"


def source(url: str, **settings: Any) -> Spark:
    return Spark(url=SecretStr(url), **settings)


def opened(of: Spark, place: Place, timeout: timedelta = timedelta(minutes=2)) -> Any:
    return reading(of, place, DAY, timeout)


def told(of: Spark, place: Place) -> str:
    with pytest.raises(SourceError) as error, opened(of, place) as read:
        measure(read, {}, {})
    assert "\n" not in str(error.value)
    return str(error.value)


@pytest.mark.parametrize(
    ("url", "where", "properties"),
    [
        ("spark://host:7077", "spark://host:7077", {}),
        ("spark://a:7077,b:7077?spark.executor.memory=2g", "spark://a:7077,b:7077", {"spark.executor.memory": "2g"}),
        ("k8s://https://host:443?spark.executor.instances=3", "k8s://https://host:443", {"spark.executor.instances": "3"}),
        ("spark://?spark.master=local-cluster[2,1,1024]", "local-cluster[2,1,1024]", {}),
        ("spark:///?spark.master=yarn&spark.sql.defaultCatalog=lake", "yarn", {"spark.sql.defaultCatalog": "lake"}),
        ("spark://?spark.master=local&spark.driver.extraJavaOptions=-XX:%2BUseG1GC", "local",
         {"spark.driver.extraJavaOptions": "-XX:+UseG1GC"}),
        ("sc://host:15002/;token=x;use_ssl=true", "sc://host:15002/;token=x;use_ssl=true", {}),
    ],
)  # fmt: skip
def test_a_url_is_sparks_own_with_its_own_properties(url: str, where: str, properties: dict[str, str]) -> None:
    address = Address.of(url)
    assert (address.where, dict(address.properties)) == (where, properties)
    assert address.is_connect is url.startswith("sc://")


@pytest.mark.parametrize("url", ["spark://", "spark:///?spark.ui.port=1", "spark://host:7077?spark.master=yarn"])
def test_a_url_names_one_master(url: str) -> None:
    assert "must name one master" in told(source(url), Place(table="t"))


def test_what_is_no_property_of_sparks_is_told() -> None:
    assert "memory in the url is no property of Spark's" in told(source("spark://host:7077?memory=2g"), Place(table="t"))


def test_a_token_of_spark_connect_is_a_secret() -> None:
    assert "hunter2" in secrets("sc://host:15002/;token=hunter2;use_ssl=true")
    assert "hunter2" not in source("sc://host:15002/;token=hunter2").said("no such token: hunter2")


@pytest.mark.parametrize("module", ["pyspark.logger", "pyspark.sql.connect.session"])
def test_a_missing_package_is_told_with_what_to_install(module: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, module, None)
    # Another test may have had it.
    spark_session._guest.cache_clear()
    assert "pip install 'datavigil[spark]'" in told(source("sc://127.0.0.1:1"), Place(table="t"))


@pytest.mark.parametrize("url", ["spark://127.0.0.1:1", "spark://127.0.0.1:1,127.0.0.1:2", "sc://127.0.0.1:1/;token=hunter2"])
def test_a_cluster_that_does_not_answer_is_down(url: str, monkeypatch: pytest.MonkeyPatch) -> None:
    pytest.importorskip("pyspark")
    monkeypatch.setattr(spark_session, "RETRIES", 0)
    with pytest.raises(SourceDown, match="does not let us in") as error, opened(source(url), Place(table="t")):
        pass
    assert "hunter2" not in str(error.value)
    assert "refused" in str(error.value).lower()


@pytest.fixture(params=["master", "connect"])
def of(request: pytest.FixtureRequest, spark: Any) -> Iterator[Spark]:
    """A source on the running cluster: as its driver, and as a guest of its Connect server."""
    spark.run("CREATE SCHEMA IF NOT EXISTS shop", "DROP TABLE IF EXISTS shop.orders")
    spark.run("CREATE TABLE shop.orders USING parquet AS SELECT id, id * 0.5D AS x, 'k' AS `odd name` FROM range(100)")
    yield source(getattr(spark, request.param))
    spark.run("DROP TABLE shop.orders")


@pytest.mark.parametrize("name", ["shop.orders", "spark_catalog.shop.orders", "`shop`.`orders`"])
def test_a_table_is_named_with_schema_and_catalogue(of: Spark, name: str) -> None:
    with opened(of, Place(table=name)) as read:
        profile = measure(read, {Population(): [Categories("odd name")]}, {})
    assert (profile.rows, profile.schema["x"]) == (100, "float64")
    assert profile.answers()["categories(odd name)"].counts == {"k": 100}  # type: ignore[union-attr]


def test_a_table_that_is_not_there_is_told_with_what_is(of: Spark) -> None:
    assert told(of, Place(table="shop.ordrs")) == "there is no table shop.ordrs (there is orders)"
    assert told(of, Place(table="shp.orders")) == "there is no table shp.orders (there is no schema shp)"
    assert told(of, Place(table="lake.shop.orders")) == "there is no table lake.shop.orders (there is no schema lake.shop)"


def test_files_are_named_as_spark_names_them(of: Spark, tmp_path: Path) -> None:
    import pyarrow as pa
    import pyarrow.parquet as pq

    for part in range(2):
        pq.write_table(pa.table({"x": [1.5 + part]}), tmp_path / f"{part}.parquet")
    with opened(of, Place(table=f"parquet.`{tmp_path}/*.parquet`")) as read:
        assert measure(read, {}, {}).rows == 2
    assert "does not exist" in told(of, Place(table="parquet.`/no/such/folder`"))


def test_a_query_can_be_nothing_but_a_select(of: Spark, spark: Any) -> None:
    for statement in (
        "drop table shop.orders",
        "create table shop.mine as select 1 as x",
        "insert into shop.orders values (1, 1, 'a')",
    ):
        assert "SYNTAX_ERROR" in told(of, Place(query=statement))
    with opened(of, Place(table="shop.orders")) as read:
        answer = measure(read, {Population(): [Query("drop table shop.orders")]}, {}).answers()[
            "query(drop table shop.orders,False)"
        ]
        assert measure(read, {}, {}).rows == 100
    assert isinstance(answer, Broken)


def test_nothing_is_left_in_the_catalogue(of: Spark, spark: Any) -> None:
    with opened(of, Place(query="select * from shop.orders")) as read:
        before = of.run(read.connection, "SHOW TABLES")
        measure(read, {Population(where="x > 1"): [Distribution("x"), Categories("id")]}, {})
        assert of.run(read.connection, "SHOW TABLES") == before
    assert not (Path.cwd() / "spark-warehouse").exists()


def test_a_bad_question_never_hides_the_others(of: Spark, capfd: pytest.CaptureFixture[str]) -> None:
    asked: list[Question] = [Distribution("x"), Distribution("odd name"), Query("select raise_error('boom')"), Query("select 7")]
    asked.append(Scalar("gone", lambda t: t.nope.max()))
    with opened(of, Place(table="shop.orders")) as read:
        answers = measure(read, {Population(): asked}, {}).answers()
    broken = {key: answer.reason for key, answer in answers.items() if isinstance(answer, Broken)}
    assert broken.keys() == {"distribution(odd name)", "query(select raise_error('boom'),False)", "gone"}
    assert broken["query(select raise_error('boom'),False)"].startswith("[USER_RAISED_EXCEPTION] boom")
    assert broken["distribution(odd name)"].startswith("[CAST_INVALID_INPUT]")
    assert answers["query(select 7,False)"] == Number(7)
    # Faults quote values; what is printed beside us goes into somebody's log.
    assert "boom" not in "".join(capfd.readouterr())


def test_a_statement_that_takes_too_long_is_cancelled_in_the_cluster(of: Spark, spark: Any) -> None:
    quick = of.model_copy(update={"statement_timeout": timedelta(seconds=1)})
    with (
        pytest.raises(SourceError, match="took too long; it was cancelled after 1 seconds"),
        opened(quick, Place(query=ENDLESS)) as read,
    ):
        measure(read, {}, {})
    tracker = spark.admin.sparkContext.statusTracker()
    assert tracker.getActiveJobsIds() == []
    with opened(of, Place(table="shop.orders")) as read:
        assert measure(read, {}, {}).rows == 100


def test_times_are_read_in_utc_whatever_the_cluster_says(spark: Any) -> None:
    of = source(spark.master)
    with opened(of, Place(query="select timestamp'2024-03-05 12:00:00' as at, timestamp_ntz'2024-03-05 12:00:00' as wall")) as read:
        assert of.run(read.connection, "SELECT current_timezone()") == [("UTC",)]
        assert read.schema == {"at": "timestamp('UTC')", "wall": "timestamp"}


def test_the_bounds_of_a_window_reach_the_files(spark: Any, tmp_path: Path) -> None:
    import pyarrow as pa
    import pyarrow.parquet as pq

    pq.write_table(pa.table({"wall": pa.array([datetime(2024, 3, 5)], pa.timestamp("us"))}), tmp_path / "a.parquet")
    of = source(spark.master)
    with opened(of, Place(table=f"parquet.`{tmp_path}/a.parquet`", time_column="wall")) as read:
        [[plan]] = of.run(read.connection, f"EXPLAIN {read.connection.compile(read.table)}")
        assert measure(read, {}, {}).rows == 1
    assert re.search(r"PushedFilters: \[.*GreaterThanOrEqual\(wall,2024-03-05T00:00\), LessThan\(wall,2024-03-06T00:00\)", plan)


def test_a_closed_session_is_not_closed_again_by_the_garbage_collector(spark: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    from pyspark.sql.connect.client.reattach import ExecutePlanResponseReattachableIterator

    with spark_session.opened(Address.of(spark.connect)) as session:
        assert session.range(3).count() == 3
    closed: list[str] = []
    monkeypatch.setattr(ExecutePlanResponseReattachableIterator, "shutdown", lambda: closed.append("again"))
    del session
    gc.collect()
    assert closed == []


DRIVER = """
import os, signal, sys, time
from datetime import timedelta
from pydantic import SecretStr
from monitor.sources import spark_session
from monitor.sources.base import Place, SourceDown, SourceError
from monitor.sources.spark import Spark

def source(master, more=""):
    quiet = "&spark.driver.memory=512m&spark.executor.memory=512m"
    return Spark(url=SecretStr(f"spark://?spark.master={master}{quiet}{more}"))

def ask(source):
    with source.connect(timedelta(minutes=2)) as connection:
        [[found]] = source.run(connection, "SELECT count(*) FROM range(10)")
        driver = spark_session.KEEPER._driver
        return found, driver, driver.root.sparkContext.getConf().get("spark.hadoop.fs.s3a.secret.key")
"""


def run_driver(script: str, **environment: str) -> subprocess.Popen[str]:
    paths = {"PYTHONPATH": str(Path.cwd()), "SPARK_LOCAL_IP": "127.0.0.1"}
    return subprocess.Popen(
        [sys.executable, "-c", DRIVER + script], stdout=subprocess.PIPE, text=True, env={**os.environ, **paths, **environment}
    )


def test_a_driver_is_ended_when_idle_or_dead_and_started_again(spark: Any) -> None:
    script = """
spark_session.IDLE = 0.01
local = source("local[1]", "&spark.hadoop.fs.s3a.secret.key=hunter2")
found, first, secret = ask(local)
shown = open(f"/proc/{first.gateway.proc.pid}/cmdline").read() if first.gateway.proc.poll() is None else ""
print(found, secret, "hunter2" in shown, "local[1]" in shown or not shown)
first.gateway.proc.wait(60)
spark_session.IDLE = 600
found, second, _ = ask(local)
found, same, _ = ask(local)
print(found, second is not first, same is second)
try:
    with local.connect(timedelta(minutes=2)) as connection:
        second.gateway.proc.kill()
        second.gateway.proc.wait()
        with local.speaking():
            local.run(connection, "SELECT 1")
except SourceDown as fault:
    print("down:", fault)
found, third, _ = ask(local)
print(found, third is not second, third.gateway.proc.poll() is None)
spark_session.KEEPER.end()
print(third.gateway.proc.poll() is not None)
"""
    with run_driver(script) as process:
        out, _ = process.communicate(timeout=500)
    lines = out.splitlines()
    assert lines[0] == "10 hunter2 False True"
    assert lines[1] == "10 True True"
    assert lines[2].startswith("down: the source does not answer")
    assert lines[3:] == ["10 True True", "True"]


def test_no_java_program_outlives_a_worker_that_is_killed(spark: Any) -> None:
    script = """
found, driver, _ = ask(source("local-cluster[1,1,1024]", "&spark.hadoop.fs.s3a.secret.key=x"))
print(found, driver.gateway.proc.pid, flush=True)
time.sleep(600)
"""
    with run_driver(script) as process:
        assert process.stdout is not None
        found, driver = process.stdout.readline().split()
        programs = [int(driver), *children(int(driver))]
        process.kill()
    assert found == "10"
    assert len(programs) == 2
    for program in programs:
        ended(program)


def children(program: int) -> list[int]:
    return [int(child) for child in Path(f"/proc/{program}/task/{program}/children").read_text().split()] or [
        int(stat.parent.name)
        for stat in Path("/proc").glob("[0-9]*/stat")
        if (text := _read(stat)) and int(text.rpartition(")")[2].split()[1]) == program
    ]


def _read(file: Path) -> str:
    with suppress(OSError):
        return file.read_text()
    return ""


def ended(program: int) -> None:
    """Returns when that process is gone. Fails after a minute. This waits for another program, not for our own code."""
    import select

    try:
        watch = os.pidfd_open(program)
    except ProcessLookupError:
        return
    try:
        found, _, _ = select.select([watch], [], [], 60)
        assert found, f"process {program} is still there"
    finally:
        os.close(watch)


def test_a_driver_without_java_is_told(spark: Any) -> None:
    script = """
try:
    ask(source("local[1]"))
except SourceError as fault:
    print(fault)
"""
    with run_driver(script, JAVA_HOME="/no/such/java") as process:
        out, _ = process.communicate(timeout=120)
    assert "a Java program, does not start (is Java 17 or newer there?)" in out
    assert "/no/such/java" in out
