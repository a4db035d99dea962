"""docs/config.md and the README say what the config can hold, no more and no less."""

from __future__ import annotations

import re
import tomllib
from pathlib import Path

import pytest
from pydantic import BaseModel

from alerts.base import Channel
from alerts.pace import Pace
from alerts.routing import Route
from alerts.rules import Rules
from alerts.silencing import Maintenance
from monitor import kinds
from monitor.config import load
from monitor.dataset import Dataset
from monitor.durations import parse
from monitor.settings import DaemonSettings, HeartbeatSettings, ReportSettings, StoreSettings, SummarySettings
from monitor.sources.base import Source

ROOT = Path(__file__).parent.parent
SECTIONS: dict[str, type[BaseModel]] = {
    "[datasets.NAME]": Dataset,
    "[sources.NAME]": Source,
    "[channels.NAME]": Channel,
    "[[routes]]": Route,
    "[telling]": Pace,
    "[[maintenance]]": Maintenance,
    "[incidents]": Rules,
    "[store]": StoreSettings,
    "[daemon]": DaemonSettings,
    "[reports]": ReportSettings,
    "[summary]": SummarySettings,
    "[heartbeat]": HeartbeatSettings,
}


def table(section: str) -> dict[str, str]:
    """Key -> default as written, from the section's table on the page."""
    page = (ROOT / "docs/config.md").read_text(encoding="utf-8")
    body = page.split(f"\n## {section}\n")[1].split("\n## ")[0]
    return dict(re.findall(r"^\| `(\w+)` \| (.*?) ?\|", body, re.MULTILINE))


@pytest.mark.parametrize("section", SECTIONS)
def test_the_page_names_every_key_of_a_section(section: str) -> None:
    assert table(section).keys() == {f.alias or name for name, f in SECTIONS[section].model_fields.items()} - {"name"}


@pytest.mark.parametrize("section", SECTIONS)
def test_a_default_on_the_page_is_the_default(section: str) -> None:
    model = SECTIONS[section]
    written = {key: tomllib.loads(f"x = {said.strip('`')}")["x"] for key, said in table(section).items() if said.startswith("`")}
    wrong = {}
    for key, value in written.items():
        default = model.model_fields[key].get_default(call_default_factory=True)
        shown = getattr(default, "get_secret_value", lambda d=default: d)()
        if shown not in (value, tuple(value) if isinstance(value, list) else value) and not same_by_meaning(key, value, shown):
            wrong[key] = (value, shown)
    assert wrong == {}


def same_by_meaning(key: str, said: str, default: object) -> bool:
    """Durations and references are compared as what they mean."""
    if key == "reference":
        return Dataset(table="{start}", reference=said).reference == default
    return isinstance(said, str) and bool(re.fullmatch(r"\d+[smhdw]", said)) and parse(said) == default


def test_the_page_names_every_kind_of_channel() -> None:
    page = (ROOT / "docs/config.md").read_text(encoding="utf-8")
    assert [kind for kind in kinds.channel_kinds() if f'"{kind}"' not in page] == []


def tomls(page: str) -> list[str]:
    return re.findall(r"```toml\n(.*?)```", (ROOT / page).read_text(encoding="utf-8"), re.DOTALL)


@pytest.mark.parametrize("page", ["README.md", "docs/config.md"])
def test_every_config_shown_is_one_that_works(page: str, tmp_path: Path) -> None:
    shown = tomls(page)
    assert shown
    for text in shown:
        (tmp_path / "config.toml").write_text(text, encoding="utf-8")
        config = load(tmp_path / "config.toml", environment={"SHOP_PASSWORD": "secret-one", "SLACK_BOT_TOKEN": "xoxb-two"})
        assert config.datasets


@pytest.mark.parametrize("page", ["README.md", "docs/index.md", "docs/config.md", "docs/reports.md"])
def test_no_link_between_pages_is_dead(page: str) -> None:
    path = ROOT / page
    links = re.findall(r"\]\((?!http)([^)#]+)\)", path.read_text(encoding="utf-8"))
    assert [link for link in links if not (path.parent / link).exists()] == []
