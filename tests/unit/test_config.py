"""The configuration file and the environment: what is accepted, and how the rest is refused."""

import copy
import pickle
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import msgspec
import pytest

from adapters.providers import KNOWN_PROVIDERS, maker_of
from router.config import (
    AliasConfig,
    Config,
    ConfigError,
    HeaderValue,
    LogConfig,
    MetricsConfig,
    ModelEntry,
    PathConfig,
    ProviderConfig,
    Secret,
    ServerConfig,
    StoreConfig,
    TimeoutConfig,
    find_config,
    load_config,
)

ENVIRON = {"HOME": "/home/someone", "OPENAI_API_KEY": "sk-live-1", "TOKEN": "hush-hush"}

EVERYTHING = """
[server]
bind = ["0.0.0.0:80", "[::1]:8080", "localhost:0"]
tls_certificate = "cert.pem"
tls_key = "key.pem"
max_body_bytes = 1024
body_seconds = 1
header_seconds = 2.5
write_seconds = 3
keep_alive_seconds = 4
drain_seconds = 5
keepalive_comment_seconds = 6
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
key_header = "api-key"
headers = { x-team = "blue", x-token = "env:TOKEN" }
query = { api-version = "2026-01-01" }
models = ["plain", { id = "corner/short", upstream = "vendor/long-name" }]
discover = true
stream_usage = false
max_connections = 11

[providers.corner.paths]
chat = "/c"
completions = "/t"
embeddings = "/e"
models = "/m"

[providers.corner.timeouts]
connect = 12

[models.quick]
target = "corner/plain"

[log]
level = "debug"
format = "json"

[metrics]
enabled = false
"""

EVERY_VALUE: dict[type[msgspec.Struct], dict[str, Any]] = {
    ServerConfig: {
        "bind": ["0.0.0.0:80", "[::1]:8080", "localhost:0"],
        "max_body_bytes": 1024,
        "body_seconds": 1.0,
        "header_seconds": 2.5,
        "write_seconds": 3.0,
        "keep_alive_seconds": 4.0,
        "drain_seconds": 5.0,
        "keepalive_comment_seconds": 6.0,
        "cors_origins": ["https://app.example.com", "http://localhost:3000"],
    },
    TimeoutConfig: {"connect": 7.0, "first_byte": 8.0, "idle": 9.0, "total": 10.0},
    ProviderConfig: {
        "dialect": "openai",
        "base_url": "https://llm.example.com/v1",
        "key": Secret("hush-hush"),
        "key_header": "api-key",
        "headers": {"x-team": HeaderValue("blue"), "x-token": HeaderValue("hush-hush")},
        "query": {"api-version": "2026-01-01"},
        "paths": PathConfig(chat="/c", completions="/t", embeddings="/e", models="/m"),
        "models": ["plain", ModelEntry(id="corner/short", upstream="vendor/long-name")],
        "discover": True,
        "stream_usage": False,
        "timeouts": TimeoutConfig(connect=12.0, first_byte=8.0, idle=9.0, total=10.0),
        "max_connections": 11,
    },
    PathConfig: {"chat": "/c", "completions": "/t", "embeddings": "/e", "models": "/m"},
    ModelEntry: {"id": "corner/short", "upstream": "vendor/long-name"},
    AliasConfig: {"target": "corner/plain"},
    LogConfig: {"level": "debug", "format": "json"},
    MetricsConfig: {"enabled": False},
}


def write(folder: Path, text: str) -> Path:
    path = folder / "syze.toml"
    path.write_text(text, encoding="utf-8")
    return path


def load(folder: Path, text: str, **environ: str) -> Config:
    return load_config(write(folder, text), ENVIRON | environ)


def refuse(folder: Path, text: str, **environ: str) -> ConfigError:
    with pytest.raises(ConfigError) as caught:
        load(folder, text, **environ)
    return caught.value


def findings(error: ConfigError) -> list[tuple[str, str | None]]:
    return [(problem.path, problem.suggestion) for problem in error.problems]


@pytest.fixture
def everything(tmp_path: Path) -> Config:
    (tmp_path / "cert.pem").write_text("certificate")
    (tmp_path / "key.pem").write_text("key")
    return load(tmp_path, EVERYTHING)


def sections(config: Config) -> Iterator[msgspec.Struct]:
    provider = config.providers["corner"]
    assert provider.models is not None
    entry = provider.models[1]
    assert isinstance(entry, ModelEntry)
    yield from (config.server, config.timeouts, provider, provider.paths, entry)
    yield from (config.models["quick"], config.log, config.metrics)


def test_every_key_of_every_table_is_read(everything: Config, tmp_path: Path) -> None:
    for section in sections(everything):
        for name, value in EVERY_VALUE[type(section)].items():
            assert getattr(section, name) == value, name
    assert everything.server.tls_certificate == str(tmp_path / "cert.pem")
    assert everything.server.tls_key == str(tmp_path / "key.pem")
    assert everything.store.path == str(tmp_path / "data" / "keys.db")


def test_no_key_is_left_out_of_the_case_above() -> None:
    by_path: dict[type[msgspec.Struct], set[str]] = {ServerConfig: {"tls_certificate", "tls_key"}}
    for kind, values in EVERY_VALUE.items():
        names = {field.name for field in msgspec.structs.fields(kind)}
        assert names == set(values) | by_path.get(kind, set())


def test_an_empty_file_gives_the_defaults(tmp_path: Path) -> None:
    config = load(tmp_path, "")
    assert config.server == ServerConfig()
    assert config.server.bind == ["127.0.0.1:8080"]
    assert config.server.max_body_bytes == 64 * 1024 * 1024
    assert config.timeouts == TimeoutConfig(connect=10, first_byte=300, idle=120, total=1800)
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
            "[models.'gpt-4.1']\ntarget = 'openai/gpt-4.1'\ntargets = 'x'",
            'models."gpt-4.1".targets',
            "target",
        ),
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


# Secrets.


def test_a_secret_is_read_from_a_variable(tmp_path: Path) -> None:
    config = load(tmp_path, "[providers.openai]\nkey = 'env:TOKEN'")
    assert config.providers["openai"].key == Secret("hush-hush")


@pytest.mark.parametrize("ending", ["", "\n", "\r\n"])
def test_a_secret_is_read_from_a_file_without_its_trailing_newline(
    tmp_path: Path, ending: str
) -> None:
    (tmp_path / "key.txt").write_bytes(f"sk-file{ending}".encode())
    config = load(tmp_path, "[providers.openai]\nkey = 'file:key.txt'")
    assert config.providers["openai"].key == Secret("sk-file")


@pytest.mark.parametrize(
    ("written", "part"),
    [
        ("sk-live-verysecret", "never as the value itself"),
        ("$TOKEN", 'did you mean "env:TOKEN"?'),
        ("TOKEN", 'did you mean "env:TOKEN"?'),
        ("env:ABSENT", "ABSENT is not set"),
        ("env:EMPTY", "EMPTY is empty"),
        ("env:not a name", "not the name of an environment variable"),
        ("env:BROKEN", "line break"),
        ("file:absent.txt", "cannot be read"),
        ("file:empty.txt", "is empty"),
        ("file:binary.txt", "is not text"),
        ("file:lines.txt", "line break"),
    ],
)
def test_a_secret_that_cannot_be_had_is_refused_with_the_way_out(
    tmp_path: Path, written: str, part: str
) -> None:
    (tmp_path / "empty.txt").write_text("\n")
    (tmp_path / "binary.txt").write_bytes(b"\xff\xfe\x00")
    (tmp_path / "lines.txt").write_text("verysecret\nverysecret\n")
    text = f"[providers.openai]\nkey = '{written}'"
    error = refuse(tmp_path, text, EMPTY="", BROKEN="verysecret\nverysecret")
    (problem,) = error.problems
    assert problem.path == "providers.openai.key"
    assert part in problem.message
    assert "verysecret" not in str(error) + repr(error)


def test_i12_a_secret_has_no_textual_form(everything: Config) -> None:
    secret = everything.providers["corner"].key
    assert secret is not None
    assert secret.reveal() == "hush-hush"
    shown = [repr(secret), str(secret), f"{secret}", f"{secret!r:>20}", repr(everything)]
    assert not [text for text in shown if "hush-hush" in text]
    assert "hush-hush" not in repr(msgspec.to_builtins(everything, enc_hook=str))


def test_i12_a_secret_is_not_pickled(everything: Config) -> None:
    secret = everything.providers["corner"].key
    with pytest.raises(TypeError):
        pickle.dumps(secret)
    assert copy.deepcopy(secret) == secret


def test_secrets_compare_by_value() -> None:
    assert Secret("a") == Secret("a")
    assert hash(Secret("a")) == hash(Secret("a"))
    assert Secret("a") != Secret("b")
    assert Secret("a") != "a"


@pytest.mark.parametrize(
    "text",
    [
        "[log]\nlevel = 'verysecret'",
        "[server]\nbind = ['verysecret']",
        "[providers.openai]\nbase_url = 'https://user:verysecret@host/v1'",
        "[providers.openai]\ndialect = 'verysecret'",
        "[providers.openai]\nkey_header = 'very secret verysecret'",
        '[providers.openai.headers]\nx = "verysecret\\n"',
        "[models.x]\ntarget = ['verysecret']",
    ],
)
def test_i12_an_error_never_repeats_a_value(tmp_path: Path, text: str) -> None:
    error = refuse(tmp_path, text)
    assert "verysecret" not in str(error) + repr(error) + repr(error.problems)


# Known providers in a file.


def test_the_name_of_a_known_provider_and_its_variable_suffice(tmp_path: Path) -> None:
    config = load(tmp_path, "[providers.groq]\n[providers.ollama]", GROQ_API_KEY="gsk")
    groq, ollama = config.providers["groq"], config.providers["ollama"]
    assert (groq.base_url, groq.key) == ("https://api.groq.com/openai/v1", Secret("gsk"))
    assert (ollama.base_url, ollama.key) == ("http://127.0.0.1:11434/v1", None)


def test_a_known_provider_without_its_key_is_refused(tmp_path: Path) -> None:
    (problem,) = refuse(tmp_path, "[providers.deepinfra]").problems
    assert problem.path == "providers.deepinfra.key"
    assert "DEEPINFRA_API_KEY or DEEPINFRA_TOKEN" in problem.message


def test_i12_a_key_does_not_follow_a_provider_to_another_address(tmp_path: Path) -> None:
    config = load(tmp_path, "[providers.openai]\nbase_url = 'http://gpu.example:8000/v1'")
    assert config.providers["openai"].key is None
    same = load(tmp_path, "[providers.openai]\nbase_url = 'https://api.openai.com/v1/'")
    assert same.providers["openai"].key == Secret("sk-live-1")


def test_what_is_peculiar_to_a_provider_comes_with_its_name(tmp_path: Path) -> None:
    text = """
    [providers.mistral]
    key = "env:TOKEN"
    [providers.perplexity]
    key = "env:TOKEN"
    paths = { chat = "/v2/chat" }
    [providers.azure]
    key = "env:TOKEN"
    base_url = "https://mine.example.com/openai/v1"
    """
    providers = load(tmp_path, text).providers
    assert not providers["mistral"].stream_usage
    assert providers["perplexity"].paths == PathConfig(chat="/v2/chat", embeddings="/v1/embeddings")
    assert providers["azure"].key_header == "api-key"


def test_a_written_value_wins_over_what_is_known(tmp_path: Path) -> None:
    config = load(tmp_path, "[providers.mistral]\nkey = 'env:TOKEN'\nstream_usage = true")
    assert config.providers["mistral"].stream_usage


@pytest.mark.parametrize(
    ("table", "discovers"),
    [
        ("[providers.openai]", False),
        ("[providers.openai]\nbase_url = 'http://h/v1'", True),
        ("[providers.openai]\ndiscover = true", True),
        ("[providers.ollama]", True),
        ("[providers.ollama]\nmodels = ['llama3']", False),
        ("[providers.ollama]\ndiscover = false", False),
        ("[providers.mine]\nbase_url = 'http://h/v1'", True),
        ("[providers.mine]\nbase_url = 'http://h/v1'\nmodels = ['x']", False),
    ],
)
def test_a_provider_is_asked_for_its_models_where_nobody_else_knows_them(
    tmp_path: Path, table: str, discovers: bool
) -> None:
    (provider,) = load(tmp_path, table).providers.values()
    assert provider.discover is discovers


# Without a file.


@pytest.mark.parametrize(
    ("variable", "provider", "base_url"),
    [
        ("OPENAI_API_KEY", "openai", "https://api.openai.com/v1"),
        ("OPENROUTER_API_KEY", "openrouter", "https://openrouter.ai/api/v1"),
        ("GROQ_API_KEY", "groq", "https://api.groq.com/openai/v1"),
        ("MISTRAL_API_KEY", "mistral", "https://api.mistral.ai/v1"),
        ("DEEPSEEK_API_KEY", "deepseek", "https://api.deepseek.com/v1"),
        ("XAI_API_KEY", "xai", "https://api.x.ai/v1"),
        ("TOGETHER_API_KEY", "together", "https://api.together.xyz/v1"),
        ("FIREWORKS_API_KEY", "fireworks", "https://api.fireworks.ai/inference/v1"),
        ("CEREBRAS_API_KEY", "cerebras", "https://api.cerebras.ai/v1"),
        ("SAMBANOVA_API_KEY", "sambanova", "https://api.sambanova.ai/v1"),
        ("PERPLEXITY_API_KEY", "perplexity", "https://api.perplexity.ai"),
        ("PERPLEXITYAI_API_KEY", "perplexity", "https://api.perplexity.ai"),
        ("DEEPINFRA_API_KEY", "deepinfra", "https://api.deepinfra.com/v1/openai"),
        ("DEEPINFRA_TOKEN", "deepinfra", "https://api.deepinfra.com/v1/openai"),
        ("NOVITA_API_KEY", "novita", "https://api.novita.ai/openai/v1"),
        ("NEBIUS_API_KEY", "nebius", "https://api.tokenfactory.nebius.com/v1"),
        ("HYPERBOLIC_API_KEY", "hyperbolic", "https://api.hyperbolic.xyz/v1"),
        ("MOONSHOT_API_KEY", "moonshot", "https://api.moonshot.ai/v1"),
        ("MINIMAX_API_KEY", "minimax", "https://api.minimax.io/v1"),
        ("ZAI_API_KEY", "zai", "https://api.z.ai/api/paas/v4"),
        (
            "DASHSCOPE_API_KEY",
            "dashscope",
            "https://dashscope-intl.aliyuncs.com/compatible-mode/v1",
        ),
        ("GEMINI_API_KEY", "google", "https://generativelanguage.googleapis.com/v1beta/openai"),
        ("GOOGLE_API_KEY", "google", "https://generativelanguage.googleapis.com/v1beta/openai"),
        ("ANTHROPIC_API_KEY", "anthropic", "https://api.anthropic.com/v1"),
    ],
)
def test_a_key_in_the_environment_makes_a_provider(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, variable: str, provider: str, base_url: str
) -> None:
    monkeypatch.chdir(tmp_path)
    config = load_config(None, {"HOME": str(tmp_path), variable: "the-key"})
    assert list(config.providers) == [provider]
    assert config.providers[provider].base_url == base_url
    assert config.providers[provider].key == Secret("the-key")


@pytest.mark.parametrize(
    ("host", "base_url"),
    [
        ("gpu-box", "http://gpu-box:11434/v1"),
        ("gpu-box:8080", "http://gpu-box:8080/v1"),
        ("0.0.0.0", "http://127.0.0.1:11434/v1"),
        ("0.0.0.0:8080", "http://127.0.0.1:8080/v1"),
        (":8080", "http://127.0.0.1:8080/v1"),
        ("::", "http://127.0.0.1:11434/v1"),
        ("::1", "http://[::1]:11434/v1"),
        ("[::1]:8080", "http://[::1]:8080/v1"),
        ("http://gpu-box", "http://gpu-box:80/v1"),
        ("http://gpu-box:11434/", "http://gpu-box:11434/v1"),
        ("https://ollama.example.com", "https://ollama.example.com:443/v1"),
        ("https://example.com/ollama", "https://example.com:443/ollama/v1"),
        (" http://gpu-box:11434/v1 ", "http://gpu-box:11434/v1"),
    ],
)
def test_ollama_is_found_at_its_host(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, host: str, base_url: str
) -> None:
    monkeypatch.chdir(tmp_path)
    config = load_config(None, {"HOME": str(tmp_path), "OLLAMA_HOST": host})
    assert config.providers["ollama"].base_url == base_url
    assert config.providers["ollama"].discover


@pytest.mark.parametrize("host", ["host:port", "http://[::1", "ftp://host"])
def test_an_ollama_host_that_is_none_is_refused(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, host: str
) -> None:
    monkeypatch.chdir(tmp_path)
    with pytest.raises(ConfigError, match=r"the environment.*\n.*providers\.ollama\.base_url"):
        load_config(None, {"HOME": str(tmp_path), "OLLAMA_HOST": host})


def test_another_openai_address_comes_with_the_key(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.chdir(tmp_path)
    environ = {"OPENAI_API_KEY": "k", "OPENAI_BASE_URL": "http://h/v1", "HOME": str(tmp_path)}
    openai = load_config(None, environ).providers["openai"]
    assert (openai.base_url, openai.key) == ("http://h/v1", Secret("k"))


def test_an_empty_environment_has_no_provider(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.chdir(tmp_path)
    environ = {"HOME": str(tmp_path), "OPENAI_API_KEY": "", "AZURE_OPENAI_API_KEY": "k"}
    assert load_config(None, environ).providers == {}


def test_the_first_file_in_the_usual_places_is_taken(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    here, home, named = tmp_path / "here", tmp_path / "home", tmp_path / "named.toml"
    here.mkdir()
    user = home / ".config" / "syze"
    user.mkdir(parents=True)
    monkeypatch.chdir(here)
    environ = {"HOME": str(home), "OPENAI_API_KEY": "k"}
    assert find_config(environ) is None

    write(user, "[log]\nlevel = 'error'")
    assert load_config(None, environ).log.level == "error"
    assert load_config(None, environ).providers == {}

    write(here, "[log]\nlevel = 'warning'")
    assert load_config(None, environ).log.level == "warning"

    named.write_text("[log]\nlevel = 'debug'")
    assert load_config(None, environ | {"SYZE_CONFIG": str(named)}).log.level == "debug"
    assert find_config(environ | {"SYZE_CONFIG": str(named)}) == named


def test_a_named_file_that_does_not_exist_is_an_error(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="cannot be read"):
        load_config(None, ENVIRON | {"SYZE_CONFIG": str(tmp_path / "none.toml")})


# The registry.


def test_every_known_address_and_variable_is_usable() -> None:
    variables = [v for known in KNOWN_PROVIDERS.values() for v in known.key_variables]
    assert len(variables) == len(set(variables))
    for known in KNOWN_PROVIDERS.values():
        assert known.base_url is None or not known.base_url.endswith("/")
        assert set(dict(known.paths)) <= set(PathConfig.__struct_fields__)


@pytest.mark.parametrize(
    ("model", "maker"),
    [
        ("gpt-4o", "openai"),
        ("claude-opus-4-7", "anthropic"),
        ("MiniMax-M2", "minimax"),
        ("deepseek-v4-flash", "deepseek"),
        ("Qwen/QwQ-32B", "dashscope"),
        ("something-else", None),
    ],
)
def test_the_maker_of_a_model_is_known_by_its_name(model: str, maker: str | None) -> None:
    assert maker_of(model) == maker
