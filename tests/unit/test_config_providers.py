"""Known providers: what their names bring along, in a file and from the environment alone."""

from pathlib import Path

import pytest

from adapters.dialect_preset import DIALECT_PRESETS
from adapters.providers import KNOWN_PROVIDERS, maker_of
from router.config import ConfigError, PathConfig, ProviderConfig, Secret, find_config, load_config
from tests.unit.written_config import ENVIRON, load, refuse, write


def test_the_name_of_a_known_provider_and_its_variable_suffice(tmp_path: Path) -> None:
    config = load(tmp_path, "[providers.groq]\n[providers.ollama]", GROQ_API_KEY="gsk")
    groq, ollama = config.providers["groq"], config.providers["ollama"]
    assert (groq.base_url, groq.key) == ("https://api.groq.com/openai/v1", Secret("gsk"))
    assert (ollama.base_url, ollama.key) == ("http://127.0.0.1:11434/v1", None)


def test_a_known_provider_without_its_key_is_refused(tmp_path: Path) -> None:
    (problem,) = refuse(tmp_path, "[providers.deepinfra]").problems
    assert problem.path == "providers.deepinfra.key"
    assert "DEEPINFRA_API_KEY or DEEPINFRA_TOKEN" in problem.message


def test_keys_are_joined_each_once_in_their_order(tmp_path: Path) -> None:
    text = "[providers.groq]\nkey = 'env:A'\nkeys = ['env:B', 'env:SAME_AS_A', 'env:C']"
    groq = load(tmp_path, text, A="a", B="b", SAME_AS_A="a", C="c").providers["groq"]
    assert groq.key_pool == (Secret("a"), Secret("b"), Secret("c"))
    assert load(tmp_path, "[providers.ollama]").providers["ollama"].key_pool == ()


def test_keys_that_are_written_down_stand_in_place_of_the_known_variable(tmp_path: Path) -> None:
    pooled = load(tmp_path, "[providers.openai]\nkeys = ['env:TOKEN']").providers["openai"]
    assert pooled.key_pool == (Secret("hush-hush"),)
    empty = load(tmp_path, "[providers.openai]\nkeys = []").providers["openai"]
    assert empty.key_pool == (Secret("sk-live-1"),)
    (problem,) = refuse(tmp_path, "[providers.groq]\nkeys = []").problems
    assert problem.path == "providers.groq.key"


def test_a_pool_of_keys_does_not_go_beside_a_header_of_the_same_name(tmp_path: Path) -> None:
    text = "[providers.groq]\nkeys = ['env:TOKEN']\nheaders = { Authorization = 'env:TOKEN' }"
    (problem,) = refuse(tmp_path, text).problems
    assert problem.path == "providers.groq.keys"


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
        ("GEMINI_API_KEY", "google", "https://generativelanguage.googleapis.com/v1beta"),
        ("GOOGLE_API_KEY", "google", "https://generativelanguage.googleapis.com/v1beta"),
        ("ANTHROPIC_API_KEY", "anthropic", "https://api.anthropic.com/v1"),
        ("COHERE_API_KEY", "cohere", "https://api.cohere.com"),
        ("CO_API_KEY", "cohere", "https://api.cohere.com"),
        ("VOYAGE_API_KEY", "voyage", "https://api.voyageai.com/v1"),
        ("JINA_API_KEY", "jina", "https://api.jina.ai/v1"),
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


VERTEX = "https://europe-west1-aiplatform.googleapis.com/v1/projects/p/locations/europe-west1"


def loaded(tmp_path: Path, text: str, **environ: str) -> ProviderConfig:
    """The one provider of a configuration."""
    file = tmp_path / "dialects.toml"
    file.write_text(text)
    [provider] = load_config(file, {"HOME": str(tmp_path), **environ}).providers.values()
    return provider


@pytest.mark.parametrize(
    "dialect", ["anthropic", "gemini", "cohere", "mistral", "deepseek", "voyage", "jina"]
)
def test_who_names_a_dialect_gets_its_address_paths_and_key_header(
    tmp_path: Path, dialect: str
) -> None:
    text = f"[providers.mine]\ndialect = '{dialect}'\nkey = 'env:MINE'\nmodels = ['m']"
    found = loaded(tmp_path, text, MINE="key")
    preset = DIALECT_PRESETS[dialect]
    assert (found.base_url, found.key_header) == (preset.base_url, preset.key_header)
    assert found.paths == PathConfig(**dict(preset.paths))
    assert found.discover is False


def test_what_the_configuration_says_itself_holds_instead(tmp_path: Path) -> None:
    text = """[providers.mine]
dialect = 'gemini'
base_url = 'https://proxy.example/v1'
key_header = 'x-mine'
key = 'env:MINE'
paths.chat = '/g/{model}:{method}'
models = ['m']"""
    found = loaded(tmp_path, text, MINE="key")
    assert (found.base_url, found.key_header) == ("https://proxy.example/v1", "x-mine")
    assert found.paths.chat == "/g/{model}:{method}"
    assert found.paths.embeddings == "/models/{model}:batchEmbedContents"


OWN_DIALECTS = [
    ("anthropic", "anthropic", "ANTHROPIC_API_KEY", "https://api.anthropic.com/v1"),
    (
        "google",
        "gemini",
        "GEMINI_API_KEY",
        "https://generativelanguage.googleapis.com/v1beta/openai",
    ),
]


@pytest.mark.parametrize("written", ["", "dialect = '{}'"], ids=["by itself", "by name"])
@pytest.mark.parametrize(("name", "dialect", "variable", "_openai"), OWN_DIALECTS)
def test_a_known_provider_is_asked_in_its_own_dialect_with_the_key_that_is_set(
    tmp_path: Path, name: str, dialect: str, variable: str, written: str, _openai: str
) -> None:
    text = f"[providers.{name}]\n{written.format(dialect)}"
    found = loaded(tmp_path, text, **{variable: "key"})
    preset = DIALECT_PRESETS[dialect]
    assert (found.base_url, found.key_header) == (preset.base_url, preset.key_header)
    assert (found.dialect, found.paths) == (dialect, PathConfig(**dict(preset.paths)))
    assert (found.key, found.discover) == (Secret("key"), False)


@pytest.mark.parametrize("written", ["dialect = 'openai'", "base_url = '{}'"])
@pytest.mark.parametrize(("name", "_dialect", "variable", "openai"), OWN_DIALECTS)
def test_it_can_still_be_asked_in_openais_form(
    tmp_path: Path, name: str, variable: str, openai: str, written: str, _dialect: str
) -> None:
    if name == "anthropic" and "base_url" in written:
        written += "\ndialect = 'openai'"  # both forms live at one address there
    text = f"[providers.{name}]\n{written.format(openai)}"
    found = loaded(tmp_path, text, **{variable: "key"})
    assert (found.dialect, found.base_url, found.key_header) == ("openai", openai, "authorization")
    assert (found.paths, found.key) == (PathConfig(), Secret("key"))


@pytest.mark.parametrize(("name", "dialect", "variable", "_openai"), OWN_DIALECTS)
def test_elsewhere_it_speaks_its_own_dialect_too_and_its_key_stays_at_home(
    tmp_path: Path, name: str, dialect: str, variable: str, _openai: str
) -> None:
    text = f"[providers.{name}]\nbase_url = 'http://proxy.example/x'"
    found = loaded(tmp_path, text, **{variable: "key"})
    assert (found.dialect, found.base_url) == (dialect, "http://proxy.example/x")
    assert (found.key, found.discover) == (None, True)
    assert found.paths == PathConfig(**dict(DIALECT_PRESETS[dialect].paths))


def test_a_known_provider_keeps_its_address_whatever_it_is_said_to_speak(tmp_path: Path) -> None:
    text = "[providers.moonshot]\ndialect = 'anthropic'"
    found = loaded(tmp_path, text, MOONSHOT_API_KEY="key")
    assert found.base_url == KNOWN_PROVIDERS["moonshot"].base_url
    assert found.paths.chat == "/messages"


@pytest.mark.parametrize(
    ("text", "at"),
    [
        (f"dialect = 'vertex'\nbase_url = '{VERTEX}'", "providers.mine.models"),
        (
            f"dialect = 'vertex'\nbase_url = '{VERTEX}'\ndiscover = true\nmodels = ['m']",
            "providers.mine.discover",
        ),
        ("dialect = 'vertex'\nmodels = ['m']", "providers.mine.base_url"),
        (
            "dialect = 'bedrock'\nbase_url = 'https://host.example'\nmodels = ['m']",
            "providers.mine.base_url",
        ),
    ],
)
def test_what_a_dialect_needs_is_asked_for(tmp_path: Path, text: str, at: str) -> None:
    with pytest.raises(ConfigError) as caught:
        loaded(tmp_path, f"[providers.mine]\n{text}")
    assert [problem.path for problem in caught.value.problems] == [at]
