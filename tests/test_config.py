"""Reading a config: what loads, and what is said of what does not."""

from __future__ import annotations

import json
import logging
import subprocess
import sys
from collections.abc import Mapping
from datetime import date, timedelta
from pathlib import Path
from typing import Any

import pytest

from checks.drift import Drift
from checks.missing import Missing
from monitor import printing
from monitor.config import Config, ConfigError, load
from monitor.dataset import Fixed, Previous
from monitor.runner import Runner
from monitor.sources.duckdb import DuckDB

ROOT = Path(__file__).parent.parent
PASSWORD, TOKEN = "s3cr3t/w:rd'\"", "xoxb-000-hidden"
ENVIRONMENT = {"SHOP_PASSWORD": PASSWORD, "SLACK_BOT_TOKEN": TOKEN, "ON": "1"}

DATASET = """
[datasets.orders]
table = "landing/{start:%Y-%m-%d}.parquet"
"""
CHANNEL = """
[channels.team]
kind = "slack"
token = "${SLACK_BOT_TOKEN}"
channel = "#data-quality"
"""
SMALLEST = """
[sources.shop]
url = "postgres://reader:${SHOP_PASSWORD}@db.internal/shop"

[datasets.orders]
source = "shop"
table = "orders"
time_column = "created_at"
every = "1h"

[channels.team]
kind = "slack"
token = "${SLACK_BOT_TOKEN}"
channel = "#data-quality"
"""
FULL = """
[store]
url = "sqlite:///datavigil.db"
keep_results = "400d"

[datasets.orders]
table = "landing/{start:%Y-%m-%d}.parquet"
delay = "20m"
timezone = "Europe/Berlin"
reference = "previous 28d"
segments = ["country"]
owner = "data-platform"
auto = true
exclude = ["internal_note"]
timeout = "10m"
checks = [
  {kind = "missing", column = "amount", at_most = 0.02, severity = "critical"},
  {kind = "unique", columns = ["order_id"]},
  {kind = "value_range", column = "amount", at_least = 0, at_most = 100000},
  {kind = "drift", column = "amount", method = "wasserstein", at_most = 0.1},
  {kind = "sql", name = "refunds balance", query = "select count(*) from refunds where amount > paid", at_most = 0},
]

[channels.oncall]
kind = "slack"
token = "${SLACK_BOT_TOKEN}"
channel = "#oncall"

[channels.team]
kind = "slack"
token = "${SLACK_BOT_TOKEN}"
channel = "#data-quality"

[channels.inbox]
kind = "mail"
server = "smtp://datavigil@mail.internal:587"
password_file = "smtp"
sender = "datavigil@example.com"
to = ["data@example.com"]

[[routes]]
severity = "critical"
to = ["oncall"]
[[routes]]
to = ["team"]
quiet = "22:00-08:00"

[summary]
weekly = "mon 09:00"
timezone = "Europe/Berlin"
to = ["inbox"]
"""


def read(folder: Path, text: str, environment: Mapping[str, str] = ENVIRONMENT) -> Config:
    path = folder / "config.toml"
    path.write_text(text, encoding="utf-8")
    return load(path, environment)


def faults(folder: Path, text: str, environment: Mapping[str, str] = ENVIRONMENT) -> list[str]:
    with pytest.raises(ConfigError) as wrong:
        read(folder, text, environment)
    return wrong.value.faults


# What loads.


def test_the_smallest_useful_config_has_careful_defaults(tmp_path: Path) -> None:
    config = read(tmp_path, SMALLEST)
    orders = config.datasets["orders"]
    assert (orders.name, orders.auto, orders.every, orders.timezone) == ("orders", True, timedelta(hours=1), "UTC")
    assert orders.reference == Previous(days=28)
    assert set(config.sources) == {"shop", "files"}
    assert [route.words for route in config.routes] == ["everything else -> team"]
    assert config.notes == ()


def test_the_full_config_is_read_as_it_says(tmp_path: Path) -> None:
    (tmp_path / "smtp").write_text(f"{PASSWORD}\n", encoding="utf-8")
    config = read(tmp_path, FULL)
    orders = config.datasets["orders"]
    assert [check.name for check in orders.checks] == [
        "missing(amount)",
        "unique(order_id)",
        "value_range(amount)",
        "drift(amount)",
        "sql(refunds balance)",
    ]
    assert isinstance(orders.checks[0], Missing)
    assert isinstance(orders.checks[3], Drift)
    assert orders.checks[3].method == "wasserstein"
    assert (orders.delay, orders.timeout) == (timedelta(minutes=20), timedelta(minutes=10))
    assert [route.words for route in config.routes] == ["critical -> oncall", "everything else -> team"]
    assert config.routes[1].timezone == "Europe/Berlin"
    password: Any = config.channels["inbox"]
    assert password.password.get_secret_value() == PASSWORD
    assert config.notes == ()


def test_a_query_can_stand_for_a_table(tmp_path: Path) -> None:
    text = SMALLEST.replace('table = "orders"', 'query = "select * from orders where not test"')
    assert read(tmp_path, text).datasets["orders"].query == "select * from orders where not test"


def test_the_config_of_this_repository_loads() -> None:
    config = load(ROOT / "config.toml", {})
    assert set(config.datasets) == {"departures"}
    assert config.notes == ()


@pytest.mark.parametrize(
    ("written", "means"),
    [
        ('"previous 28d"', Previous(days=28)),
        ('"previous 4w"', Previous(days=28)),
        ('"same weekday 8w"', Previous(days=56, same_weekday=True)),
        ("{from = 2026-09-01, to = 2026-10-01}", Fixed(**{"from": date(2026, 9, 1), "to": date(2026, 10, 1)})),
        ('{from = "2026-09-01", to = "2026-10-01"}', Fixed(**{"from": date(2026, 9, 1), "to": date(2026, 10, 1)})),
    ],
)
def test_a_reference_is_what_it_says(tmp_path: Path, written: str, means: object) -> None:
    assert read(tmp_path, f"{DATASET}reference = {written}").datasets["orders"].reference == means


def test_relative_paths_start_at_the_configs_folder(tmp_path: Path) -> None:
    text = DATASET + '[sources.lake]\nurl = "duckdb:///lake.duckdb"\n[store]\nurl = "sqlite:///kept/results.db"\n'
    config = read(tmp_path, text)
    assert config.datasets["orders"].table == f"{tmp_path}/landing/{{start:%Y-%m-%d}}.parquet"
    assert config.sources["lake"].url.get_secret_value() == f"duckdb:///{tmp_path}/lake.duckdb"
    assert config.store.url.get_secret_value() == f"sqlite:///{tmp_path}/kept/results.db"


def test_paths_start_there_also_from_elsewhere(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "etc").mkdir()
    (tmp_path / "etc/config.toml").write_text(DATASET, encoding="utf-8")
    monkeypatch.chdir(tmp_path)
    config = load(Path("etc/config.toml"), {})
    assert config.datasets["orders"].table == f"{tmp_path}/etc/landing/{{start:%Y-%m-%d}}.parquet"
    assert config.store.url.get_secret_value() == f"sqlite:///{tmp_path}/etc/datavigil.db"


def test_a_source_of_files_by_another_name_reads_from_there_too(tmp_path: Path) -> None:
    config = read(tmp_path, f'{DATASET}source = "lake"\n[sources.lake]\nurl = "files://"\n')
    assert config.datasets["orders"].table == f"{tmp_path}/landing/{{start:%Y-%m-%d}}.parquet"


@pytest.mark.parametrize("table", ["s3://bucket/{start:%Y}.parquet", "/data/{start:%Y}.parquet"])
def test_absolute_paths_and_addresses_stay_as_they_are(tmp_path: Path, table: str) -> None:
    assert read(tmp_path, f'[datasets.a]\ntable = "{table}"\n').datasets["a"].table == table


@pytest.mark.parametrize("url", ["sqlite:////var/lib/x.db", "sqlite:///:memory:", "sqlite://", "postgresql+psycopg://h/d"])
def test_a_store_that_is_not_relative_stays_where_it_is(tmp_path: Path, url: str) -> None:
    assert read(tmp_path, f'{DATASET}[store]\nurl = "{url}"\n').store.url.get_secret_value() == url


def test_a_mark_before_the_first_letter_does_no_harm(tmp_path: Path) -> None:
    assert read(tmp_path, "\ufeff" + DATASET).datasets


def test_one_name_can_stand_for_a_list(tmp_path: Path) -> None:
    assert read(tmp_path, f'{DATASET}segments = "country"').datasets["orders"].segments == ("country",)


def test_a_whole_url_may_come_from_the_environment(tmp_path: Path) -> None:
    text = SMALLEST.replace("postgres://reader:${SHOP_PASSWORD}@db.internal/shop", "${SHOP}")
    config = read(tmp_path, text, {**ENVIRONMENT, "SHOP": "postgres://reader:x@db/shop"})
    assert config.sources["shop"].kind == "postgres"


def test_a_url_may_come_from_a_file(tmp_path: Path) -> None:
    (tmp_path / "url").write_text("postgres://reader:x@db/shop\n", encoding="utf-8")
    text = SMALLEST.replace('url = "postgres://reader:${SHOP_PASSWORD}@db.internal/shop"', 'url_file = "url"')
    assert read(tmp_path, text).sources["shop"].url.get_secret_value() == "postgres://reader:x@db/shop"


def test_what_the_environment_holds_is_not_filled_in_again(tmp_path: Path) -> None:
    config = read(tmp_path, DATASET + CHANNEL, {"SLACK_BOT_TOKEN": "a${NOT_A_NAME}b"})
    channel: Any = config.channels["team"]
    assert channel.token.get_secret_value() == "a${NOT_A_NAME}b"


# What is noted.


@pytest.mark.parametrize(
    ("text", "note"),
    [
        (DATASET, "no channel is set: nobody is told of anything, results are only stored"),
        (
            f"{DATASET}{CHANNEL}[[routes]]\nto = 'team'\nseverity = 'critical'",
            "no route takes everything: what none of them takes is told to nobody",
        ),
        (
            f"{DATASET}{CHANNEL}[[routes]]\nto = 'team'\n[[routes]]\nto = 'team'",
            "a route without a condition takes everything: the routes after it are never reached",
        ),
    ],
)
def test_what_is_not_acted_on_or_reaches_nobody_is_said(tmp_path: Path, text: str, note: str) -> None:
    assert note in read(tmp_path, text).notes


# What does not load.

TEN = """
[stroe]
url = "sqlite:///x.db"

[sources.shop]
url = "postgress://reader:pw@db/shop"

[sources.lake]
url = "duckdb:///${LAKE}"

[datasets.orders]
source = "shopp"
table = "orders"
query = "select 1"
every = "7x"
timezone = "Europe/Berln"
tabel = "x"
checks = [
  {kind = "mising", column = "amount"},
  {kind = "missing", column = "amount", at_least = 0.5, at_most = 0.1},
  {kind = "missing", column = "a"},
  {kind = "missing", column = "a"},
  {kind = "missing", column = "b", at_mots = 0.1},
]

[channels.team]
kind = "slack"
token_file = "nowhere"
channel = "#x"

[[routes]]
to = ["teem"]
"""


def test_every_mistake_is_told_at_once_with_its_place_and_what_to_do(tmp_path: Path) -> None:
    assert sorted(faults(tmp_path, TEN)) == sorted(
        [
            'top level: unknown section "stroe"; did you mean "store"?',
            'source "shop": unknown url scheme "postgress"; did you mean "postgres"?',
            'source "lake": ${LAKE} is not set in the environment; export LAKE before the start',
            'dataset "orders": unknown source "shopp"; did you mean "shop"?',
            "dataset \"orders\": every: '7x' is not a duration; write a number and s, m, h, d or w, such as 20m or 1d",
            'dataset "orders": timezone: \'Europe/Berln\' is no time zone; write one such as "Europe/Berlin" or "UTC"',
            'dataset "orders": unknown key "tabel"; did you mean "table"?',
            'dataset "orders", check 1: unknown kind of check "mising"; did you mean "missing"?',
            'dataset "orders", check 2: at_least (0.5) is above at_most (0.1); swap them',
            'dataset "orders", check 4: is called "missing(a)" like another one; give one of them an id of its own',
            'dataset "orders", check 5: unknown key "at_mots"; did you mean "at_most"?',
            'channel "team": token_file: nowhere cannot be read: No such file or directory',
            'route 1: unknown channel "teem"; did you mean "team"?',
        ]
    )


def test_the_error_counts_the_mistakes_and_names_the_file(tmp_path: Path) -> None:
    with pytest.raises(ConfigError) as wrong:
        read(tmp_path, TEN)
    first, *rest = str(wrong.value).splitlines()
    assert first == f"{tmp_path}/config.toml: 13 mistakes"
    assert rest == [f"  - {fault}" for fault in wrong.value.faults]


@pytest.mark.parametrize(
    ("key", "said"),
    [
        ("every = 5", "every: 5 is not a duration"),
        ('every = "7h"', "windows must divide a day evenly (such as 15m, 1h, 6h) or last whole days or weeks"),
        ('timeout = "0s"', "timeout: must be longer than 0s"),
        ('catchup = "999999999d"', "at most 100 years"),
        ('origin = "soon"', "origin: must be a day such as 2026-09-01"),
        ("origin = 2013-01-01T10:00:00", "origin: must be a day without a time, such as 2026-09-01"),
        ("timezone = 5", "timezone: must be text in quotes"),
        ('timezone = ""', "timezone: '' is no time zone"),
        ('auto = "maybe"', "auto: must be true or false"),
        ('empty = "yes"', 'empty: must be "fail" or "ok"'),
        ("segments = 5", 'segments: must be a list: ["...", "..."]'),
        ('tags = ["a", 2]', "tags, entry 2: must be text in quotes"),
        ('query = "select 1"', "give either a table (or path) or a query, not both"),
        ('name = "x"', 'unknown key "name"; its name stands in the heading: [datasets.x]'),
        ('channels = "x"', '"channels" is no key but a section: write it under a heading of its own, [channels.NAME]'),
        ('source = "shop"', 'unknown source "shop"; known: files'),
        ("source = 5", "source: must be text in quotes"),
        ('reference = "last month"', "reference: 'last month' is no reference; write \"previous 28d\""),
        ("reference = 5", 'reference: write "previous 28d"'),
        ('reference = "previous 0d"', "reference: 'previous 0d' is no reference"),
        ('reference = "previous 99999999999d"', "is more than ten years"),
        ('reference = {table = "golden", rows = 3}', "reference: a golden table is named by its table and nothing else"),
        ("reference = {from = 2026-09-01}", "reference: from and to must be days; write"),
        ("reference = {from = 2026-10-01, to = 2026-09-01}", "reference: it ends (2026-09-01) before it starts (2026-10-01)"),
        ('checks = {kind = "missing"}', "checks must be a list: checks = [{kind = ...}, ...]"),
    ],
)
def test_a_wrong_key_of_a_dataset_is_told_in_words(tmp_path: Path, key: str, said: str) -> None:
    [fault] = faults(tmp_path, DATASET + key)
    assert fault.startswith('dataset "orders": ')
    assert said in fault


@pytest.mark.parametrize(
    ("check", "said"),
    [
        ("5", "must be a table with a kind: {kind = ...}; kinds of check: agreement, allowed_values"),
        ("{column = 'a'}", "kind is missing; kinds of check: agreement, allowed_values"),
        ("{kind = ['missing']}", "unknown kind of check"),
        ("{kind = 'missing'}", "column is missing (the column to look at)"),
        ("{kind = 'missing', column = 5}", "column: must be text in quotes"),
        ("{kind = 'missing', column = 'a', at_most = 'x'}", "at_most: must be a number"),
        ("{kind = 'missing', column = 'a', at_most = nan}", "at_most: must be a finite number"),
        ("{kind = 'missing', column = 'a', severity = 'high'}", 'severity: must be "warning" or "critical"'),
        ("{kind = 'unique', columns = []}", "columns: must list at least 1"),
        ("{kind = 'quantile', column = 'a', q = 2}", "q: must be below 1"),
        ("{kind = 'drift', column = 'a', method = 'kss'}", "there is no method kss; did you mean ks?"),
        (
            "{kind = 'allowed_values', column = 'a', values = [1, [2]]}",
            "values, entry 2: must be text in quotes, or a whole number, or a number, or true or false",
        ),
        ("{kind = 'sql', name = 'x', query = 'a', bad_rows = 'b'}", "give either query (one number) or bad_rows"),
    ],
)
def test_a_wrong_check_is_told_in_words(tmp_path: Path, check: str, said: str) -> None:
    [fault] = faults(tmp_path, f"{DATASET}checks = [{{kind = 'row_count'}}, {check}]")
    assert fault.startswith('dataset "orders", check 2: ')
    assert said in fault


@pytest.mark.parametrize(
    ("section", "said"),
    [
        ("[sources.a]", 'source "a": url is missing; write one such as postgres://user:${PASSWORD}@host/database'),
        ("[sources.a]\nurl = 'x'", 'source "a": url does not look like one'),
        ("[sources.a]\nurl_file = 'x'", 'source "a": url_file: x cannot be read: No such file or directory'),
        ("[sources.a]\nurl_file = '.'", 'source "a": url_file: . cannot be read: Is a directory'),
        ("[sources.a]\nurl_file = 5", 'source "a": url_file must be the path of a file, in quotes'),
        ("[sources.a]\nurl = 'duckdb:///x'\nconcurrency = 0", 'source "a": concurrency: must be at least 1'),
        ("[sources]\na = 5", 'source "a": must be a section with keys'),
        ("[channels.a]\nkind = 'slak'", 'channel "a": unknown kind of channel "slak"; did you mean "slack"?'),
        (
            "[channels.a]",
            'channel "a": kind is missing; kinds of channel: apprise_urls, console, mail, pagerduty, slack, teams, webhook',
        ),
        ("[channels.a]\nkind = 'slack'\nchannel = '#a'", 'channel "a": token is missing (the bot token, xoxb-...)'),
        ("[channels.a]\nkind = 'console'\nfallback = 'b'", 'channel "a": unknown channel for fallback "b"; known: a'),
        ("[channels.a]\nkind = 'console'\nfallback = 'a'", 'channel "a": fallback: it cannot stand in for itself'),
        ("[store]\nurl = 'mysql://h/d'", "[store]: url: must be sqlite:///file.db or postgresql+psycopg://"),
        ("[store]\nkeep = '1d'", '[store]: unknown key "keep"; known: coarsen_after, keep_profiles, keep_results, url'),
        ("[daemon]\nworkers = 0", "[daemon]: workers: must be at least 1"),
        ("[daemon]\ntick = '0s'", "[daemon]: tick: must be longer than 0s"),
        ("[daemon]\nlease = '1s'", "[daemon]: lease must be at least twice send_timeout and three times tick"),
        ("[summary]\nweekly = 'monday'", "[summary]: weekly: does not have the right form (mon 09:00)"),
        ("[summary]\ntimezone = 'Mars'", "[summary]: timezone: 'Mars' is no time zone"),
        ("[summary]\nto = ['x']", '[summary]: unknown channel "x"; there is none'),
        ("[routes]\nto = 'x'", "[[routes]]: write each route as [[routes]] with double brackets"),
        ("[[routes]]", "route 1: to is missing (channels, by name; an empty list mutes)"),
        ("[[routes]]\nto = []\nquiet = '22-8'", "route 1: quiet: '22-8' are no quiet hours; write them as 22:00-08:00"),
        ("[[routes]]\nto = []\ntimezone = 'Mars'", "route 1: timezone: 'Mars' is no time zone"),
        ("[[sources]]", "[sources]: write each as a section of its own: [sources.NAME]"),
        ("[dataset.x]", 'top level: unknown section "dataset"; did you mean "datasets"?'),
        ("[heartbeats]", 'top level: unknown section "heartbeats"; did you mean "heartbeat"?'),
    ],
)
def test_a_wrong_section_is_told_in_words(tmp_path: Path, section: str, said: str) -> None:
    [fault] = faults(tmp_path, DATASET + section)
    assert fault.startswith(said)


@pytest.mark.parametrize("word", ["Input should", "validation", "function-", "dictionary", "tuple", "instance of", "NoneType"])
def test_no_fault_speaks_of_the_inside(tmp_path: Path, word: str) -> None:
    text = """
[store]
url = 5
keep_results = []
[daemon]
workers = "x"
lease = 5
[sources.a]
url = "duckdb:///x"
concurrency = 1.5
statement_timeout = {}
[datasets.o]
table = 5
every = []
auto = []
exclude = {a = 1}
reference = [1]
owner = ["a"]
segments = {}
checks = [
  {kind = "missing", column = [], segments = 5, at_most = {}},
  {kind = "columns", expect = 5},
  {kind = "evidently", metric = 5, options = 1},
]
[channels.a]
kind = "webhook"
url = 5
headers = 5
timeout = []
[[routes]]
to = {}
severity = 5
"""
    found = faults(tmp_path, text)
    assert len(found) > 20
    assert [fault for fault in found if word in fault] == []


def test_a_missing_file_is_one_sentence(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="there is no such file; name one with --config"):
        load(tmp_path / "none.toml", {})


def test_a_folder_is_no_config(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="it cannot be read: Is a directory"):
        load(tmp_path, {})


@pytest.mark.parametrize("begin", ["storm:", "source:", "channel:", "config:"])
def test_a_dataset_is_not_called_like_an_incident_of_the_daemons_own(tmp_path: Path, begin: str) -> None:
    (tmp_path / "config.toml").write_text(f'[datasets."{begin}x"]\ntable = "landing/{{start:%Y-%m-%d}}.parquet"\n')
    with pytest.raises(ConfigError, match=f'dataset "{begin}x".*must not begin with "{begin}"'):
        load(tmp_path / "config.toml", {})


def test_a_syntax_error_names_the_line(tmp_path: Path) -> None:
    assert faults(tmp_path, "[datasets.orders]\ntable = \n") == ["it is not valid TOML: Invalid value (at line 2, column 9)"]


def test_a_file_that_is_not_utf_8_names_the_line(tmp_path: Path) -> None:
    (tmp_path / "config.toml").write_bytes('# one\n[datasets.café]\ntable = "x"\n'.encode("latin-1"))
    with pytest.raises(ConfigError) as wrong:
        load(tmp_path / "config.toml", {})
    assert wrong.value.faults == ["line 2 is not UTF-8 text; save the file as UTF-8"]


def test_a_config_without_a_dataset_watches_nothing_and_says_so(tmp_path: Path) -> None:
    assert faults(tmp_path, "") == ["top level: there is no dataset to watch; write a [datasets.NAME] section"]


def test_an_empty_variable_counts_as_missing(tmp_path: Path) -> None:
    [fault] = faults(tmp_path, DATASET + CHANNEL, {"SLACK_BOT_TOKEN": ""})
    assert fault == 'channel "team": ${SLACK_BOT_TOKEN} is empty in the environment; export SLACK_BOT_TOKEN before the start'


def test_an_empty_secret_file_counts_as_missing(tmp_path: Path) -> None:
    (tmp_path / "token").write_text("\n", encoding="utf-8")
    text = (DATASET + CHANNEL).replace('token = "${SLACK_BOT_TOKEN}"', 'token_file = "token"')
    assert faults(tmp_path, text) == ['channel "team": token_file: token is empty']


def test_a_secret_given_twice_is_a_mistake(tmp_path: Path) -> None:
    assert faults(tmp_path, f'{DATASET}{CHANNEL}token_file = "x"') == [
        'channel "team": token and token_file are both given; keep one'
    ]


# Secrets.


def leaks(text: str) -> list[str]:
    """Every secret, in any spelling, that shows in a text."""
    spelled = {s for secret in (PASSWORD, TOKEN) for s in (secret, repr(secret)[1:-1], json.dumps(secret)[1:-1])}
    return [secret for secret in spelled if secret in text]


@pytest.fixture
def secretive(tmp_path: Path) -> Config:
    (tmp_path / "smtp").write_text(PASSWORD, encoding="utf-8")
    return read(tmp_path, FULL + '[sources.shop]\nurl = "postgres://reader:${SHOP_PASSWORD}@db.internal/shop"\n')


def test_no_secret_shows_in_a_config_that_is_printed(secretive: Config) -> None:
    assert leaks(f"{secretive} {secretive!r}") == []
    assert [leaks(f"{c} {c!r} {c.where}") for c in secretive.channels.values()] == [[]] * 3
    assert [leaks(f"{s} {s!r}") for s in secretive.sources.values()] == [[]] * 2


def test_no_secret_shows_in_what_check_config_prints(secretive: Config) -> None:
    assert leaks("\n".join(printing.checked(secretive))) == []


def test_no_secret_shows_in_a_log_of_the_config(secretive: Config, caplog: pytest.LogCaptureFixture) -> None:
    with caplog.at_level(logging.DEBUG):
        logging.getLogger("test").warning("%s %r", secretive, Runner)
    assert caplog.text
    assert leaks(caplog.text) == []


# Each of these puts the secret where the fault would quote it.
WRONG_PLACES = [
    'every = "${SECRET}"',
    'timezone = "${SECRET}"',
    'source = "${SECRET}"',
    'reference = "${SECRET}"',
    'empty = "${SECRET}"',
    'origin = "${SECRET}"',
    'checks = [{kind = "${SECRET}"}]',
    'checks = [{kind = "missing", column = "a", at_most = "${SECRET}"}]',
    'checks = [{kind = "pattern", column = "a", regex = "[${SECRET}"}]',
    '[channels.a]\nkind = "${SECRET}"',
    '[channels.a]\nkind = "console"\nfallback = "${SECRET}"',
    '[channels.a]\nkind = "mail"\nserver = "smtp://u:${SECRET}@h"\nsender = "${SECRET}"\nto = ["${SECRET}"]',
    '[channels.a]\nkind = "webhook"\nurl = "${SECRET}"',
    '[channels.a]\nkind = "slack"\ntoken = "x"\nchannel = "x"\nmention = "${SECRET}"',
    '[sources.a]\nurl = "${SECRET}"',
    '[sources.a]\nurl = "duckdb:///x"\nstatement_timeout = "${SECRET}"',
    '[store]\nurl = "mysql://u:${SECRET}@h/d"',
    '[summary]\nweekly = "${SECRET}"\nto = ["${SECRET}"]',
    '[[routes]]\nto = ["${SECRET}"]\nquiet = "${SECRET}"',
]


@pytest.mark.parametrize("wrong", WRONG_PLACES)
@pytest.mark.parametrize(
    "secret", [PASSWORD, TOKEN, "ab", "back\\slash\nand 'both' \"quotes\""], ids=["odd", "token", "short", "ugly"]
)
def test_no_secret_shows_in_a_fault(tmp_path: Path, wrong: str, secret: str) -> None:
    said = "\n".join(faults(tmp_path, DATASET + wrong, {"SECRET": secret}))
    spelled = {secret, repr(secret)[1:-1]} if len(secret) > 2 else {f"'{secret}'", f'"{secret}"'}
    assert [one for one in spelled if one in said] == []


def run(folder: Path, *arguments: str) -> subprocess.CompletedProcess[str]:
    code = "import sys; from monitor.cli import main; sys.exit(main())"
    return subprocess.run(
        [sys.executable, "-c", code, *arguments],
        check=False,
        capture_output=True,
        text=True,
        cwd=folder,
        env={"PYTHONPATH": str(ROOT), **ENVIRONMENT},
    )


def test_check_config_tells_every_fault_as_json_and_no_secret(tmp_path: Path) -> None:
    (tmp_path / "config.toml").write_text(TEN.replace("reader:pw", "reader:${SHOP_PASSWORD}"), encoding="utf-8")
    ran = run(tmp_path, "check-config", "--json")
    assert ran.returncode == 3
    told = json.loads(ran.stdout)
    assert (len(told["faults"]), told["config"]) == (13, str(tmp_path / "config.toml"))
    assert leaks(ran.stdout + ran.stderr) == []


def test_check_config_says_that_a_good_config_is_in_order(tmp_path: Path) -> None:
    (tmp_path / "config.toml").write_text(SMALLEST, encoding="utf-8")
    ran = run(tmp_path, "check-config", "--json")
    assert ran.returncode == 0
    assert json.loads(ran.stdout)["faults"] == []
    plain = run(tmp_path, "check-config")
    assert (plain.returncode, "in order" in plain.stdout) == (0, True)
    assert leaks(ran.stdout + plain.stdout + ran.stderr + plain.stderr) == []


def test_a_password_in_a_url_may_hold_what_is_special_in_a_url(tmp_path: Path) -> None:
    path = tmp_path / "config.toml"
    path.write_text(
        '[sources.shop]\nurl = "postgres://reader:${SHOP}@db/shop"\n'
        '[datasets.orders]\nsource = "shop"\ntable = "orders"\ntime_column = "at"\n'
    )
    for password, encoded in (("a/b@c#d?e", "a%2Fb%40c%23d%3Fe"), ("a%2Fb", "a%2Fb")):
        url = load(path, {"SHOP": password}).sources["shop"].url.get_secret_value()
        assert url == f"postgres://reader:{encoded}@db/shop"


def test_a_sample_is_refused_where_the_source_cannot_hold_one(tmp_path: Path) -> None:
    text = '[sources.shop]\nurl = "postgres://u@h/d"\n[datasets.orders]\nsource = "shop"\ntable = "o"\ntime_column = "at"\n'
    text += "sample = 5000\n"
    (tmp_path / "config.toml").write_text(text, encoding="utf-8")
    with pytest.raises(ConfigError, match=r'dataset "orders": sample is not for a postgres source'):
        load(tmp_path / "config.toml", environment={})


def test_memory_and_the_folder_to_spill_into_are_the_source_s(tmp_path: Path) -> None:
    text = '[sources.files]\nmemory = "512MB"\nspill = "spill"\n[datasets.d]\ntable = "d/{start:%Y}.csv"\n'
    (tmp_path / "config.toml").write_text(text, encoding="utf-8")
    source = load(tmp_path / "config.toml", environment={}).sources["files"]
    assert isinstance(source, DuckDB)
    assert (source.memory, source.spill) == ("512MB", tmp_path / "spill")


def test_a_size_that_is_none_is_told_with_the_form_that_is_wanted(tmp_path: Path) -> None:
    text = '[sources.lake]\nurl = "duckdb:///lake.duckdb"\nmemory = "lots"\n[datasets.d]\ntable = "d/{start:%Y}.csv"\n'
    (tmp_path / "config.toml").write_text(text, encoding="utf-8")
    with pytest.raises(ConfigError, match=r"'lots' is no size; write a number and KB, MB or GB"):
        load(tmp_path / "config.toml", environment={})
