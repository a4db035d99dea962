"""Every check, channel and source is found by looking, and each is whole."""

from __future__ import annotations

from pathlib import Path

import pytest

import alerts
import checks
import monitor.sources
from alerts.base import Channel
from checks.base import Check
from monitor import kinds
from monitor.sources.base import Source

ALL: list[type[Check] | type[Channel] | type[Source]] = [
    *kinds.check_kinds().values(),
    *kinds.channel_kinds().values(),
    *kinds.source_kinds(),
]


def test_the_kinds_the_design_names_are_found() -> None:
    named = "row_count freshness columns missing unique value_range allowed_values pattern distinct drift sql evidently"
    assert set(named.split()) <= kinds.check_kinds().keys()
    assert {"apprise_urls", "console", "mail", "pagerduty", "slack", "teams", "webhook"} == kinds.channel_kinds().keys()
    assert {"files", "duckdb", "sqlite", "postgres"} <= {kind.kind for kind in kinds.source_kinds()}


@pytest.mark.parametrize("kind", ALL, ids=lambda kind: kind.kind)
def test_a_kind_is_named_like_its_file_and_stands_there_alone(kind: type[Check] | type[Channel] | type[Source]) -> None:
    assert kind.kind == kind.__module__.rpartition(".")[2]
    assert [other for other in ALL if other.__module__ == kind.__module__] == [kind]


@pytest.mark.parametrize("kind", ALL, ids=lambda kind: kind.kind)
def test_a_kind_explains_itself_and_each_of_its_keys(kind: type[Check] | type[Channel] | type[Source]) -> None:
    assert kind.__doc__
    assert [name for name, key in kind.model_fields.items() if not key.description] == []


@pytest.mark.parametrize("kind", ALL, ids=lambda kind: kind.kind)
def test_a_kind_refuses_keys_it_does_not_know_and_cannot_be_changed(kind: type[Check] | type[Channel] | type[Source]) -> None:
    assert kind.model_config.get("extra") == "forbid"
    assert kind.model_config.get("frozen") is True


@pytest.mark.parametrize("package", [checks, alerts, monitor.sources], ids=lambda package: package.__name__)
def test_one_new_file_is_one_new_kind(package: object, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    base = {checks: Check, alerts: Channel, monitor.sources: Source}[package]  # type: ignore[index]
    name = f"only_for_a_test_of_{base.__name__.lower()}"
    text = f'"""New."""\n\nfrom {base.__module__} import {base.__name__}\n\n\nclass New({base.__name__}):\n    """New."""\n'
    (tmp_path / f"{name}.py").write_text(text, encoding="utf-8")
    monkeypatch.setattr(package, "__path__", [*package.__path__, str(tmp_path)])  # type: ignore[attr-defined]
    found = kinds._found(package, base)  # type: ignore[arg-type]
    assert name in {kind.kind for kind in found}


def test_every_scheme_has_one_source_that_fits_it_best() -> None:
    schemes = {scheme for kind in kinds.source_kinds() for scheme in kind.schemes}
    assert {"postgres", "duckdb", "sqlite"} <= schemes
    for scheme in schemes:
        fits = sorted((kind.answers_to(scheme) for kind in kinds.source_kinds()), reverse=True)
        assert fits[0] > fits[1], scheme
