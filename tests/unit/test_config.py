"""The configuration file: what is accepted, and how the rest is refused (I11)."""

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import msgspec
import pytest

from router.config import (
    Config,
    ConfigError,
    FetchConfig,
    HeaderValue,
    LimitsConfig,
    LimitTable,
    LogConfig,
    MetricsConfig,
    ModelConfig,
    ModelEntry,
    PathConfig,
    ProviderConfig,
    RaceConfig,
    Secret,
    ServerConfig,
    StoreConfig,
    TimeoutConfig,
    TimeoutOverrides,
    load_config,
)
from tests.unit.written_config import ENVIRON, findings, load, refuse

EVERYTHING = """
[server]
bind = ["0.0.0.0:80", "[::1]:8080", "localhost:0"]
tls_certificate = "cert.pem"
tls_key = "key.pem"
workers = 2
max_body_bytes = 1024
body_seconds = 1
write_seconds = 3
http1 = "hypercorn"
http2 = false
keep_alive_seconds = 4
lame_duck_seconds = 4
drain_seconds = 5
keepalive_comment_seconds = 6
relay = "task"
cors_origins = ["https://app.example.com", "http://localhost:3000"]

[store]
path = "data/keys.db"

[timeouts]
connect = 7
first_byte = 8
idle = 9
total = 10

[providers.corner]
dialect = "openai"
base_url = "https://llm.example.com/v1"
key = "env:TOKEN"
keys = ["env:SPARE"]
key_header = "api-key"
headers = { x-team = "blue", x-token = "env:TOKEN" }
query = { api-version = "2026-01-01" }
models = ["plain", { id = "corner/short", upstream = "vendor/long-name", prefill = true }]
discover = true
stream_usage = false
betas = ["a-1"]
max_connections = 11
weight = 2.5

[providers.corner.paths]
chat = "/c"
completions = "/t"
embeddings = "/e"
rerank = "/r"
responses = "/rs"
models = "/m"

[providers.corner.timeouts]
connect = 12

[models.quick]
target = "corner/plain"
targets = ["corner/short"]
fallbacks = ["corner/second", "corner/third"]
larger_context = ["corner/long"]
hedge = false

[models.quick.timeouts]
connect = 13
first_byte = 14
idle = 15
total = 16

[race]
patience = 17
slow_first_token = 18
max_attempts = 19
hedge = false
hedge_quantile = 0.2
hedge_minimum = 21
budget_ratio = 0.22
budget_burst = 23
drain_seconds = 24

[limits]
requests_per_minute = 24
tokens_per_minute = 25
concurrency = 26
wait_seconds = 27
most_waiting_per_key = 28
most_waiting = 29
cached_weight = 0.3
folder = "counts"
url = "env:VALKEY"
machines = 31
when_away = "refuse"
patience = 0.32

[limits.models."corner/plain"]
requests_per_minute = 33
tokens_per_minute = 34
concurrency = 35

[fetch]
enabled = false
max_bytes = 36
max_total_bytes = 37
max_urls = 38
seconds = 39
at_a_time = 40
private_hosts = ["store.internal:9000"]

[log]
level = "debug"
format = "json"

[metrics]
enabled = false
"""

EVERY_VALUE: dict[type[msgspec.Struct], dict[str, Any]] = {
    ServerConfig: {
        "workers": 2,
        "bind": ["0.0.0.0:80", "[::1]:8080", "localhost:0"],
        "max_body_bytes": 1024,
        "body_seconds": 1.0,
        "write_seconds": 3.0,
        "http1": "hypercorn",
        "http2": False,
        "keep_alive_seconds": 4.0,
        "lame_duck_seconds": 4.0,
        "drain_seconds": 5.0,
        "keepalive_comment_seconds": 6.0,
        "relay": "task",
        "cors_origins": ["https://app.example.com", "http://localhost:3000"],
    },
    TimeoutConfig: {"connect": 7.0, "first_byte": 8.0, "idle": 9.0, "total": 10.0},
    ProviderConfig: {
        "dialect": "openai",
        "base_url": "https://llm.example.com/v1",
        "key": Secret("hush-hush"),
        "keys": [Secret("hush-too")],
        "key_header": "api-key",
        "headers": {"x-team": HeaderValue("blue"), "x-token": HeaderValue("hush-hush")},
        "query": {"api-version": "2026-01-01"},
        "paths": PathConfig(
            chat="/c",
            completions="/t",
            embeddings="/e",
            rerank="/r",
            responses="/rs",
            models="/m",
        ),
        "models": [
            "plain",
            ModelEntry(id="corner/short", upstream="vendor/long-name", prefill=True),
        ],
        "discover": True,
        "stream_usage": False,
        "betas": ["a-1"],
        "timeouts": TimeoutConfig(connect=12.0, first_byte=8.0, idle=9.0, total=10.0),
        "max_connections": 11,
        "weight": 2.5,
    },
    PathConfig: {
        "chat": "/c",
        "completions": "/t",
        "embeddings": "/e",
        "rerank": "/r",
        "responses": "/rs",
        "models": "/m",
    },
    ModelEntry: {"id": "corner/short", "upstream": "vendor/long-name", "prefill": True},
    ModelConfig: {
        "target": "corner/plain",
        "targets": ["corner/short"],
        "fallbacks": ["corner/second", "corner/third"],
        "larger_context": ["corner/long"],
        "hedge": False,
        "timeouts": TimeoutOverrides(connect=13.0, first_byte=14.0, idle=15.0, total=16.0),
    },
    TimeoutOverrides: {"connect": 13.0, "first_byte": 14.0, "idle": 15.0, "total": 16.0},
    RaceConfig: {
        "patience": 17.0,
        "slow_first_token": 18.0,
        "max_attempts": 19,
        "hedge": False,
        "hedge_quantile": 0.2,
        "hedge_minimum": 21.0,
        "budget_ratio": 0.22,
        "budget_burst": 23.0,
        "drain_seconds": 24.0,
    },
    LimitsConfig: {
        "requests_per_minute": 24,
        "tokens_per_minute": 25,
        "concurrency": 26,
        "models": {
            "corner/plain": LimitTable(requests_per_minute=33, tokens_per_minute=34, concurrency=35)
        },
        "wait_seconds": 27.0,
        "most_waiting_per_key": 28,
        "most_waiting": 29,
        "cached_weight": 0.3,
        "url": Secret("valkey://somewhere"),
        "machines": 31,
        "when_away": "refuse",
        "patience": 0.32,
    },
    LimitTable: {"requests_per_minute": 33, "tokens_per_minute": 34, "concurrency": 35},
    FetchConfig: {
        "enabled": False,
        "max_bytes": 36,
        "max_total_bytes": 37,
        "max_urls": 38,
        "seconds": 39.0,
        "at_a_time": 40,
        "private_hosts": ["store.internal:9000"],
    },
    LogConfig: {"level": "debug", "format": "json"},
    MetricsConfig: {"enabled": False},
}


@pytest.fixture
def everything(tmp_path: Path) -> Config:
    (tmp_path / "cert.pem").write_text("certificate")
    (tmp_path / "key.pem").write_text("key")
    return load(tmp_path, EVERYTHING, SPARE="hush-too", VALKEY="valkey://somewhere")


def sections(config: Config) -> Iterator[msgspec.Struct]:
    provider = config.providers["corner"]
    assert provider.models is not None
    entry = provider.models[1]
    assert isinstance(entry, ModelEntry)
    yield from (config.server, config.timeouts, provider, provider.paths, entry)
    model = config.models["quick"]
    assert model.timeouts is not None
    yield from (model, model.timeouts, config.race, config.log, config.metrics)
    yield config.fetch
    yield from (config.limits, config.limits.models["corner/plain"])


def test_every_key_of_every_table_is_read(everything: Config, tmp_path: Path) -> None:
    for section in sections(everything):
        for name, value in EVERY_VALUE[type(section)].items():
            assert getattr(section, name) == value, name
    assert everything.server.tls_certificate == str(tmp_path / "cert.pem")
    assert everything.server.tls_key == str(tmp_path / "key.pem")
    assert everything.store.path == str(tmp_path / "data" / "keys.db")
    assert everything.limits.folder == str(tmp_path / "counts")


def test_no_key_is_left_out_of_the_case_above() -> None:
    by_path: dict[type[msgspec.Struct], set[str]] = {
        ServerConfig: {"tls_certificate", "tls_key"},
        LimitsConfig: {"folder"},
    }
    for kind, values in EVERY_VALUE.items():
        names = {field.name for field in msgspec.structs.fields(kind)}
        assert names == set(values) | by_path.get(kind, set())


def test_an_empty_file_gives_the_defaults(tmp_path: Path) -> None:
    config = load(tmp_path, "")
    assert config.server == ServerConfig()
    assert config.server.bind == ["127.0.0.1:8080"]
    assert config.server.max_body_bytes == 64 * 1024 * 1024
    assert config.timeouts == TimeoutConfig(connect=10, first_byte=300, idle=120, total=1800)
    assert config.race == RaceConfig(max_attempts=6, hedge=True, budget_ratio=0.05)
    assert config.providers == {}
    assert config.store.path == "/home/someone/.local/state/syze/syze.db"


def test_the_state_folder_of_the_desktop_standard_is_used(tmp_path: Path) -> None:
    assert load(tmp_path, "", XDG_STATE_HOME="/state").store.path == "/state/syze/syze.db"


def test_a_tilde_in_a_path_is_the_home_folder(tmp_path: Path) -> None:
    config = load(tmp_path, '[store]\npath = "~/keys.db"')
    assert config.store == StoreConfig(path="/home/someone/keys.db")


def test_a_provider_takes_general_timeouts_where_it_has_none_of_its_own(tmp_path: Path) -> None:
    text = "[timeouts]\nidle = 5\n[providers.openai.timeouts]\nconnect = 1\n[providers.ollama]"
    config = load(tmp_path, text)
    openai, ollama = config.providers["openai"], config.providers["ollama"]
    assert openai.timeouts == TimeoutConfig(connect=1, first_byte=300, idle=5, total=1800)
    assert ollama.timeouts == TimeoutConfig(idle=5)


def test_a_model_keeps_its_own_timeouts_apart_until_its_provider_is_known(tmp_path: Path) -> None:
    config = load(tmp_path, "[timeouts]\nidle = 5\n[models.quick.timeouts]\nconnect = 1")
    overrides = config.models["quick"].timeouts
    assert overrides is not None
    over = overrides.over(TimeoutConfig(connect=9, first_byte=8, idle=7, total=6))
    assert over == TimeoutConfig(connect=1, first_byte=8, idle=7, total=6)


def test_the_environment_overrides_how_streams_are_relayed(tmp_path: Path) -> None:
    written = '[server]\nrelay = "task"'
    assert load(tmp_path, written).server.relay == "task"
    assert load(tmp_path, written, SYZE_RELAY="pump").server.relay == "pump"
    assert load(tmp_path, "", SYZE_RELAY="task").server.relay == "task"
    assert load(tmp_path, written, SYZE_RELAY="").server.relay == "task"
    assert findings(refuse(tmp_path, "", SYZE_RELAY="pomp")) == [("server.relay", "pump")]


def test_nothing_can_be_changed_after_loading(everything: Config) -> None:
    with pytest.raises(AttributeError):
        everything.server.drain_seconds = 1.0  # type: ignore[misc]


@pytest.mark.parametrize(
    ("text", "path", "suggestion"),
    [
        ("serfer = 1", "serfer", "server"),
        ("[server]\nbinds = []", "server.binds", "bind"),
        ("[store]\npaht = 'x'", "store.paht", "path"),
        ("[timeouts]\nconect = 1", "timeouts.conect", "connect"),
        ("[log]\nlvl = 'info'", "log.lvl", "level"),
        ("[metrics]\nenable = true", "metrics.enable", "enabled"),
        ("[limits]\nwait_second = 1", "limits.wait_second", "wait_seconds"),
        ("[limits]\ntoken_per_minute = 1", "limits.token_per_minute", "tokens_per_minute"),
        ("[limits.models.m]\nconcurency = 1", "limits.models.m.concurency", "concurrency"),
        ("[providers.openai]\nbase-url = 'x'", "providers.openai.base-url", "base_url"),
        (
            "[providers.openai.timeouts]\nconect = 1",
            "providers.openai.timeouts.conect",
            "connect",
        ),
        ("[providers.openai.paths]\nchats = '/x'", "providers.openai.paths.chats", "chat"),
        (
            "[providers.openai]\nmodels = [{upstream = 'x', ids = 'y'}]",
            "providers.openai.models[0].ids",
            "id",
        ),
        (
            "[models.'gpt-4.1']\ntarget = 'openai/gpt-4.1'\nfallback = 'x'",
            'models."gpt-4.1".fallback',
            "fallbacks",
        ),
        ("[models.quick.timeouts]\nidel = 1", "models.quick.timeouts.idel", "idle"),
        ("[race]\nhedging = true", "race.hedging", "hedge"),
    ],
)
def test_i11_an_unknown_key_is_refused_with_its_path_and_the_nearest_name(
    tmp_path: Path, text: str, path: str, suggestion: str
) -> None:
    error = refuse(tmp_path, text)
    assert findings(error) == [(path, suggestion)]
    assert f"{path}: unknown key; did you mean `{suggestion}`?" in str(error)


def test_an_unknown_key_like_no_other_is_told_all_valid_names(tmp_path: Path) -> None:
    (problem,) = refuse(tmp_path, "[log]\nzzz = 1").problems
    assert problem.suggestion is None
    assert problem.message == "unknown key; valid here: format, level"


@pytest.mark.parametrize(
    ("text", "path"),
    [
        ("server = 3", "server"),
        ("providers = []", "providers"),
        ("[providers]\nopenai = 'key'", "providers.openai"),
        ("[server]\nbind = []", "server.bind"),
        ("[server]\nbind = '127.0.0.1:80'", "server.bind"),
        ("[server]\nbind = ['127.0.0.1:80', 'localhost']", "server.bind[1]"),
        ("[server]\nbind = ['::1:80']", "server.bind[0]"),
        ("[server]\nbind = ['localhost:65536']", "server.bind[0]"),
        ("[server]\nbind = ['local host:80']", "server.bind[0]"),
        ("[server]\nmax_body_bytes = 0", "server.max_body_bytes"),
        ("[server]\nmax_body_bytes = 1.5", "server.max_body_bytes"),
        ("[server]\ndrain_seconds = -1", "server.drain_seconds"),
        ("[server]\ndrain_seconds = inf", "server.drain_seconds"),
        ("[server]\ndrain_seconds = nan", "server.drain_seconds"),
        ("[server]\ndrain_seconds = true", "server.drain_seconds"),
        ("[server]\ncors_origins = ['https://a.example/path']", "server.cors_origins[0]"),
        ("[server]\ncors_origins = ['a.example']", "server.cors_origins[0]"),
        ("[store]\npath = ''", "store.path"),
        ("[store]\npath = 3", "store.path"),
        ("[timeouts]\nconnect = 0", "timeouts.connect"),
        ("[metrics]\nenabled = 'yes'", "metrics.enabled"),
        ("[providers.ollama]\nbase_url = 'ftp://host'", "providers.ollama.base_url"),
        ("[providers.ollama]\nbase_url = 'https://'", "providers.ollama.base_url"),
        ("[providers.ollama]\nbase_url = 'https://host:99999'", "providers.ollama.base_url"),
        ("[providers.ollama]\nbase_url = 'https://host:0'", "providers.ollama.base_url"),
        ("[providers.ollama]\nbase_url = 'https://host/v1?x=1'", "providers.ollama.base_url"),
        ("[providers.ollama]\nbase_url = 'https://u:p@host/v1'", "providers.ollama.base_url"),
        ("[providers.ollama]\nbase_url = 'https://ho st/v1'", "providers.ollama.base_url"),
        ("[providers.ollama]\ndialect = 'klingon'", "providers.ollama.dialect"),
        ("[providers.ollama]\nkey_header = 'bad header'", "providers.ollama.key_header"),
        ("[providers.ollama.headers]\n'x y' = 'z'", 'providers.ollama.headers."x y"'),
        ("[providers.ollama.headers]\nHost = 'z'", "providers.ollama.headers.Host"),
        ('[providers.ollama.headers]\nx = "a\\r\\nb"', "providers.ollama.headers.x"),
        ('[providers.ollama.query]\nx = "a\\nb"', "providers.ollama.query.x"),
        ("[providers.ollama.paths]\nchat = 'chat'", "providers.ollama.paths.chat"),
        ("[providers.ollama]\nmax_connections = 0", "providers.ollama.max_connections"),
        ("[providers.ollama]\nmodels = ['']", "providers.ollama.models[0]"),
        ("[providers.ollama]\nmodels = [7]", "providers.ollama.models[0]"),
        ("[providers.ollama]\nmodels = [{id = 'x'}]", "providers.ollama.models[0].upstream"),
        ("[providers.'a/b']\nbase_url = 'http://h'", 'providers."a/b"'),
        ("[providers.mine]\nmodels = ['x']", "providers.mine.base_url"),
        ("[providers.azure]\nkey = 'env:TOKEN'", "providers.azure.base_url"),
        ("[models.quick]", "models.quick.target"),
        ("[models.quick]\ntargets = []", "models.quick.target"),
        ("[models.quick]\nfallbacks = ['a', '']", "models.quick.fallbacks[1]"),
        ("[models.quick]\ntargets = 'a'", "models.quick.targets"),
        ("[models.quick.timeouts]\nidle = 0", "models.quick.timeouts.idle"),
        ("[providers.ollama]\nweight = 0", "providers.ollama.weight"),
        ("[providers.ollama]\nweight = inf", "providers.ollama.weight"),
        ("[race]\nmax_attempts = 0", "race.max_attempts"),
        ("[race]\nhedge_quantile = 1", "race.hedge_quantile"),
        ("[race]\nbudget_ratio = -0.1", "race.budget_ratio"),
        ("[race]\nbudget_burst = inf", "race.budget_burst"),
        ("[server]\ntls_key = '/dev/null/x'", "server.tls_certificate"),
    ],
)
def test_a_bad_value_is_refused_with_its_path(tmp_path: Path, text: str, path: str) -> None:
    assert path in [problem.path for problem in refuse(tmp_path, text).problems]


@pytest.mark.parametrize(
    ("text", "suggestion"),
    [("[log]\nlevel = 'warn'", "warning"), ("[log]\nformat = 'jsonl'", "json")],
)
def test_a_value_out_of_a_few_names_the_nearest(tmp_path: Path, text: str, suggestion: str) -> None:
    (problem,) = refuse(tmp_path, text).problems
    assert problem.suggestion == suggestion


def test_a_mistyped_provider_is_told_the_known_one(tmp_path: Path) -> None:
    error = refuse(tmp_path, "[providers.opnai]\nkey = 'env:TOKEN'")
    assert findings(error) == [("providers.opnai.base_url", "providers.openai")]


def test_all_problems_are_told_at_once(tmp_path: Path) -> None:
    text = """
    [server]
    bind = ["nowhere"]
    [providers.openai.timeouts]
    conect = 1
    idle = -1
    [log]
    level = "loud"
    """
    assert [problem.path for problem in refuse(tmp_path, text).problems] == [
        "server.bind[0]",
        "providers.openai.timeouts.conect",
        "providers.openai.timeouts.idle",
        "log.level",
    ]


def test_half_a_tls_pair_and_absent_files_are_refused(tmp_path: Path) -> None:
    error = refuse(tmp_path, "[server]\ntls_certificate = 'none.pem'")
    paths = [problem.path for problem in error.problems]
    assert paths == ["server.tls_key", "server.tls_certificate"]


def test_the_key_is_not_sent_twice(tmp_path: Path) -> None:
    text = "[providers.openai]\nkey = 'env:TOKEN'\nheaders = { Authorization = 'env:TOKEN' }"
    (problem,) = refuse(tmp_path, text).problems
    assert problem.path == "providers.openai.key"


def test_a_header_may_take_the_place_of_the_key(tmp_path: Path) -> None:
    config = load(tmp_path, "[providers.groq]\nheaders = { Authorization = 'env:TOKEN' }")
    assert config.providers["groq"].headers["Authorization"].reveal() == "hush-hush"


@pytest.mark.parametrize(
    ("data", "part"),
    [(b"[server\n", "is not TOML"), (b"\xff\xfe", "is not UTF-8"), (None, "cannot be read")],
)
def test_a_file_that_cannot_be_read_is_refused(
    tmp_path: Path, data: bytes | None, part: str
) -> None:
    path = tmp_path / "syze.toml"
    if data is not None:
        path.write_bytes(data)
    with pytest.raises(ConfigError, match=part):
        load_config(path, ENVIRON)


@pytest.mark.parametrize("written", ["", '[server]\nhttp1 = "lean"\n'])
def test_a_variable_overrides_who_speaks_http1(tmp_path: Path, written: str) -> None:
    assert load(tmp_path, written).server.http1 == "lean"
    assert load(tmp_path, written, SYZE_HTTP1="hypercorn").server.http1 == "hypercorn"
    assert load(tmp_path, written, SYZE_HTTP1="").server.http1 == "lean"


def test_a_variable_is_checked_like_the_file(tmp_path: Path) -> None:
    assert findings(refuse(tmp_path, "", SYZE_HTTP1="fat")) == [("server.http1", None)]
