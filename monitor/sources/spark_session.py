"""Sessions of Spark: short ones on a Connect server; on a driver of our own, which a process has one of and keeps for a while.

A driver is a Java program that takes seconds to start, so it stays for the next window; without work it is ended after two
minutes, since it holds memory here and executors there. It ends by itself when this process does, even by SIGKILL: it
reads from a pipe that closes then.
"""

from __future__ import annotations

import os
import re
import socket
import subprocess
import tempfile
import threading
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from functools import cache
from typing import Any
from urllib.parse import unquote, urlsplit

from monitor.sources.base import SourceError, scheme_of
from monitor.sources.faults import SECRET

IDLE = 120.0
"""Seconds that a driver without work is kept."""
PAUSE = 0.5
"""Seconds between two requests to end a statement: one that comes while no job of it runs has no effect."""
WAIT = 10.0
"""Seconds that a master may take to answer, and a driver to end."""
RETRIES = 4
"""Spark Connect's own 15 go on for ten minutes."""
QUIET = {
    "spark.app.name": "datavigil",
    "spark.log.level": "OFF",
    "spark.ui.enabled": "false",
    "spark.ui.showConsoleProgress": "false",
    "spark.sql.warehouse.dir": f"file://{tempfile.gettempdir()}/datavigil-warehouse",
}
"""What a driver is told unless the url or Spark's own files say otherwise. Without a word about it, the last is a new folder in
the working directory."""


class TookTooLong(Exception):
    """The statement was cancelled at its time limit."""


@dataclass(frozen=True)
class Address:
    """What a url says: the server of Spark Connect or the master, and Spark's properties, as pairs."""

    where: str
    properties: tuple[tuple[str, str], ...] = ()

    @property
    def is_connect(self) -> bool:
        return self.where.startswith("sc://")

    @classmethod
    def of(cls, url: str) -> Address:
        """Raises SourceError where the url says no master, or two, or what is no property of Spark's."""
        where, _, query = url.partition("?")
        parts = [part.partition("=") for part in query.split("&") if part]
        properties = {unquote(name): unquote(value) for name, _, value in parts}
        for name in properties:
            if not name.startswith("spark."):
                raise SourceError(f"{name} in the url is no property of Spark's; they begin with spark.")
        master = properties.pop("spark.master", "")
        named = where if where.partition("://")[2].strip("/") else ""
        if bool(master) == bool(named):
            raise SourceError("the url must name one master: spark://host:7077, sc://host:15002 or spark://?spark.master=yarn")
        return cls(named or master, tuple(sorted(properties.items())))


@contextmanager
def opened(address: Address) -> Iterator[Any]:
    """A session of its own for a window. Raises whatever pyspark does; ImportError where it is not installed."""
    _hush()
    # Else one in forty programs that a process starts after it has used Spark Connect is dead before it begins: a driver, say.
    os.environ.setdefault("GRPC_ENABLE_FORK_SUPPORT", "0")
    if not address.is_connect:
        with KEEPER.session(address) as session:
            yield session
        return
    from pyspark.sql.connect.client.retries import DefaultPolicy

    session = _guest()(connection=address.where)
    try:
        session.client.set_retry_policies([DefaultPolicy(max_retries=RETRIES)])
        for name, value in address.properties:
            session.conf.set(name, value)
        yield session
    finally:
        with suppress(Exception):  # The server may be gone.
            session.stop()


@cache
def _guest() -> Any:
    from pyspark.sql.connect.session import SparkSession

    class Guest(SparkSession):  # type: ignore[misc]
        def __del__(self) -> None:
            """Nothing: it is closed already. pyspark closes once more here, whenever Python collects its garbage, and waits for
            ever where that happens while another session starts a thread.
            """

    return Guest


@contextmanager
def limited(session: Any, seconds: float) -> Iterator[None]:
    """What runs on the session inside is cancelled in the cluster after that long. Raises TookTooLong then."""
    over, ended = threading.Event(), threading.Event()

    def watch() -> None:
        if over.wait(seconds):
            return
        ended.set()
        while not over.is_set():
            with suppress(Exception):  # The cluster is gone: then the statement ends without us.
                session.interruptAll()
            over.wait(PAUSE)

    watcher = threading.Thread(target=watch, daemon=True)
    watcher.start()
    try:
        yield
    except Exception:
        if ended.is_set():
            raise TookTooLong(f"it was cancelled after {seconds:g} seconds") from None
        raise
    finally:
        over.set()
        watcher.join()


class Driver:
    """A Java program of ours with Spark's driver in it."""

    def __init__(self, address: Address) -> None:
        from pyspark import SparkConf, SparkContext
        from pyspark.java_gateway import launch_gateway
        from pyspark.sql import SparkSession

        self.address = address
        # Everybody can read a command line: secrets reach the program another way.
        shown = {name: value for name, value in address.properties if not any(word in name.lower() for word in SECRET)}
        self.gateway = _launched(launch_gateway, SparkConf(loadDefaults=False).setMaster(address.where).setAll(shown.items()))
        try:
            conf = _configured(SparkConf(_jvm=self.gateway.jvm), address)
            self.root = SparkSession(SparkContext(gateway=self.gateway, conf=conf))
        except BaseException:
            self.end()
            raise

    @property
    def is_alive(self) -> bool:
        try:
            return self.gateway.proc.poll() is None and not self.root.sparkContext._jsc.sc().isStopped()
        except Exception:  # Whatever it says instead of an answer.
            return False

    def session(self) -> Any:
        return self.root.newSession()

    def end(self) -> None:
        """End the program and what runs in the cluster for it, and let pyspark forget it."""
        with suppress(Exception):
            self.root.stop()
        with suppress(Exception):
            self.gateway.shutdown()
        process: subprocess.Popen[bytes] = self.gateway.proc
        if process.stdin is not None:
            process.stdin.close()
        try:
            process.wait(WAIT)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()
        _forget()


class Keeper:
    """The driver of this process, used by one thread at a time."""

    def __init__(self) -> None:
        self._lock = threading.RLock()
        self._driver: Driver | None = None
        self._timer: threading.Timer | None = None

    @contextmanager
    def session(self, address: Address) -> Iterator[Any]:
        """A session on the driver for this address; one for another address, or one that died, is ended first."""
        with self._lock:
            self._wait_no_more()
            if self._driver is None or self._driver.address != address:
                _knock(address.where)
            if self._driver and (self._driver.address != address or not self._driver.is_alive):
                self.end()
            self._driver = self._driver or Driver(address)
            try:
                yield self._driver.session()
            finally:
                self._wait_no_more()
                self._timer = threading.Timer(IDLE, self._end_idle)
                self._timer.daemon = True
                self._timer.start()

    def end(self) -> None:
        with self._lock:
            self._wait_no_more()
            driver, self._driver = self._driver, None
            if driver:
                driver.end()

    def _end_idle(self) -> None:
        # In use again: its end starts a new timer.
        if self._lock.acquire(blocking=False):
            try:
                self.end()
            finally:
                self._lock.release()

    def _wait_no_more(self) -> None:
        if self._timer:
            self._timer.cancel()


KEEPER = Keeper()


def _forget() -> None:
    """Else pyspark takes a program that died for one that still runs, and starts no other."""
    from pyspark import SparkContext
    from pyspark.sql import SparkSession

    SparkContext._gateway = SparkContext._jvm = SparkContext._active_spark_context = None
    SparkSession._instantiatedSession = SparkSession._activeSession = None


def _hush() -> None:
    """pyspark prints every fault of a query, with values in it, to standard error; we tell it ourselves, without."""
    from pyspark.logger import PySparkLogger

    for name in ("SQLQueryContextLogger", "DataFrameQueryContextLogger"):
        PySparkLogger.getLogger(name).disabled = True


def _knock(master: str) -> None:
    """Raises OSError where no master of a standalone cluster answers: Spark itself would try for a minute."""
    if scheme_of(master) != "spark":
        return
    error: OSError | None = None
    for place in master.removeprefix("spark://").split(","):
        parts = urlsplit(f"spark://{place}")
        try:
            with socket.create_connection((parts.hostname, parts.port or 7077), timeout=WAIT):
                return
        except OSError as failed:
            error = failed
    raise error or OSError(f"{master} names no host")


def _launched(launch: Any, conf: Any) -> Any:
    """A gateway to a new Java program. Raises SourceError, with what the program said, where it does not start."""
    from pyspark.errors import PySparkRuntimeError

    with tempfile.TemporaryFile() as said:
        try:
            return launch(conf, {"stdout": subprocess.DEVNULL, "stderr": said})
        except PySparkRuntimeError:
            said.seek(0)
            lines = [line.strip() for line in said.read().decode(errors="replace").splitlines() if line.strip()]
            told = [line for line in lines if re.search("java|Exception|Error:", line, re.IGNORECASE)]
            first = (told or lines or ["it said nothing"])[0]
            raise SourceError(f"Spark's driver, a Java program, does not start (is Java 17 or newer there?): {first}") from None


def _configured(conf: Any, address: Address) -> Any:
    """Spark's own files, then the url's properties; what neither says is as quiet as can be."""
    properties: Mapping[str, str] = {**dict(address.properties), "spark.master": address.where}
    for name, value in properties.items():
        conf.set(name, value)
    for name, value in QUIET.items():
        conf.setIfMissing(name, value)
    return conf
