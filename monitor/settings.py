"""Settings of the sections that stand once in a config; the others' stand beside the code they set."""

from __future__ import annotations

import re
from datetime import timedelta

from pydantic import BaseModel, ConfigDict, Field, SecretStr, field_validator, model_validator

from alerts.routing import Names, Zone
from monitor.durations import Duration, Span
from monitor.sources.base import scheme_of


class Settings(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid")


class StoreSettings(Settings):
    """`[store]`: where results, incidents and deliveries are kept."""

    url: SecretStr = Field(SecretStr("sqlite:///datavigil.db"), description="sqlite:///file.db or postgresql+psycopg://...")
    keep_results: Span = Field(timedelta(days=400), description="results older than this are forgotten")
    coarsen_after: Span = Field(
        timedelta(days=35), description="of windows shorter than a day only their days' profiles are kept after this"
    )
    keep_profiles: Span = Field(timedelta(days=400), description="profiles older than this are forgotten")

    @field_validator("url")
    @classmethod
    def _is_store(cls, url: SecretStr) -> SecretStr:
        if scheme_of(url.get_secret_value()).partition("+")[0] not in {"sqlite", "postgresql"}:
            raise ValueError("must be sqlite:///file.db or postgresql+psycopg://user:${PASSWORD}@host/database")
        return url


class DaemonSettings(Settings):
    """`[daemon]`: how the service works; the defaults suit one machine."""

    workers: int = Field(4, ge=1, le=64, description="worker processes, each measures one window at a time")
    tick: Span = Field(timedelta(seconds=10), description="how often it looks for windows that are due")
    lease: Span = Field(timedelta(seconds=60), description="work left unfinished by a dead process is taken over after this long")
    settle: Duration = Field(
        timedelta(seconds=60), description="after an unknown outcome, wait this long before looking the message up"
    )
    send_timeout: Span = Field(timedelta(seconds=15), description="the total time one send may take")

    @model_validator(mode="after")
    def _lease_outlasts(self) -> DaemonSettings:
        if self.lease < max(2 * self.send_timeout, 3 * self.tick):
            raise ValueError(
                "lease must be at least twice send_timeout and three times tick, or work is taken over while it goes on"
            )
        return self


class ReportSettings(Settings):
    """`[reports]`: an HTML report of Evidently's on each incident of drift that opens or gets worse."""

    enabled: bool = Field(True, description="false: none is made")
    folder: str | None = Field(None, description="default: datavigil-reports beside the store's file, else beside the config")
    keep: Span = Field(timedelta(days=30), description="reports older than this are deleted")
    rows: int = Field(5000, ge=100, le=100_000, description="rows of the window, and of the reference, that are drawn")
    timeout: Span = Field(timedelta(minutes=5), description="a report that takes longer is given up")
    memory_mb: int = Field(2048, ge=1024, description="megabytes that its process may take")


class SummarySettings(Settings):
    """`[summary]`: the mail (or message) on how the week went; sent to nobody where `to` is empty."""

    weekly: str = Field("mon 09:00", pattern=r"^(mon|tue|wed|thu|fri|sat|sun) ([01]\d|2[0-3]):[0-5]\d$", description="mon 09:00")
    timezone: Zone = Field("UTC", description="of that time, and of quiet hours")
    to: Names = Field((), description="channels, by name")


class HeartbeatSettings(Settings):
    """`[heartbeat]`: an address that is pinged while all is well, such as healthchecks.io's; it tells you when the pings stop."""

    url: SecretStr = Field(description="where to ping: https://hc-ping.com/...; /start and /fail are added to it")
    every: Span = Field(timedelta(seconds=60), description="how often")
    timeout: float = Field(10, gt=0, le=60, description="seconds that one ping may take in all")

    @field_validator("url")
    @classmethod
    def _is_http(cls, url: SecretStr) -> SecretStr:
        if not re.fullmatch(r"https?://[^\s/]+\S*", url.get_secret_value()):
            raise ValueError("must begin with https:// (or http://) and a host")
        return url
