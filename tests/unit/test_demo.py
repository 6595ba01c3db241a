"""The demo and the lines that a person is shown who tries the gateway."""

import json
import re
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import Any

import msgspec
import pytest
import trio

from adapters.providers import KNOWN_PROVIDERS
from router.accounts.store import KeyStore
from router.catalog.catalog import Catalog
from router.catalog.models import load_seed
from router.config import Config, LogConfig, ProviderConfig, ServerConfig
from router.demo import demo_config, run_demo
from router.quickstart import QUICKSTART_MODEL, quickstart_model, quickstart_text
from router.simulator import Profile
from tests.simulated.simulator_wire import WireClient

DOCUMENTED = (
    "anthropic/claude-haiku-4-5-20251001",
    "anthropic/claude-sonnet-4-5-20250929",
    "anthropic/claude-opus-4-7",
    "text-embedding-3-small",
    "openai/gpt-4o-mini",
)


def demo_catalog() -> Catalog:
    config = demo_config(Config(), simulator_port=9, store_path=Path("demo.db"))
    return Catalog(config, load_seed())


def test_the_demo_offers_over_three_hundred_models_by_their_documented_ids() -> None:
    catalog = demo_catalog()
    assert len(catalog.listing()) > 300
    assert [name for name in DOCUMENTED if catalog.resolve(name) is None] == []


def test_the_demo_asks_nobody_but_its_simulator() -> None:
    before = Config(
        server=ServerConfig(bind=["127.0.0.1:7"]),
        log=LogConfig(level="debug"),
        providers={"real": ProviderConfig(base_url="https://real.example/v1")},
    )
    config = demo_config(before, simulator_port=9, store_path=Path("demo.db"))
    assert set(config.providers) == set(KNOWN_PROVIDERS)
    for name, provider in config.providers.items():
        assert provider.base_url == f"http://127.0.0.1:9/{name}/v1"
        assert provider.key is None
        assert not provider.discover
    assert config.store.path == "demo.db"
    assert (config.server, config.log) == (before.server, before.log)


@pytest.fixture
def temporary(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Where the demo makes its folder."""
    monkeypatch.setattr("tempfile.tempdir", str(tmp_path))
    return tmp_path


Serve = Callable[[Config, str], Awaitable[None]]


async def simulate(serve: Serve) -> None:
    await run_demo(Config(), Profile(), serve)


def test_the_demos_key_and_simulator_work_and_nothing_is_left_behind(temporary: Path) -> None:
    served: list[Any] = []

    async def serve(config: Config, secret: str) -> None:
        assert config.store.path is not None
        with KeyStore.open(config.store.path) as store:
            (key,) = store.list_keys()
        assert key.hint[-4:] in secret
        assert Path(config.store.path).is_relative_to(temporary)
        url = config.providers["openai"].base_url or ""
        port = int(url.split(":")[2].split("/")[0])
        async with await trio.open_tcp_stream("127.0.0.1", port) as stream:
            path = "/openai/v1/models"
            served.append((await WireClient(stream).ask(method="GET", path=path)).status)

    trio.run(simulate, serve)
    assert served == [200]
    assert list(temporary.iterdir()) == []


def test_a_demo_that_fails_or_is_cancelled_leaves_nothing_behind(temporary: Path) -> None:
    async def fail(_config: Config, _secret: str) -> None:
        raise OSError("address in use")

    async def wait(_config: Config, _secret: str) -> None:
        assert any(temporary.iterdir())  # noqa: ASYNC240 - one small folder
        begun.cancel()
        await trio.sleep_forever()

    async def cancelled() -> None:
        with begun:
            await simulate(wait)

    with pytest.raises(ExceptionGroup) as caught:
        trio.run(simulate, fail)
    assert caught.group_contains(OSError, match="address in use")
    assert list(temporary.iterdir()) == []
    begun = trio.CancelScope()
    trio.run(cancelled)
    assert list(temporary.iterdir()) == []


# Quickstart


def catalog_of(**providers: list[str] | None) -> Catalog:
    configured = {
        name: ProviderConfig(base_url="http://host/v1", models=models, discover=False)  # type: ignore[arg-type] # a list of names is one
        for name, models in providers.items()
    }
    return Catalog(Config(providers=configured), load_seed())


def test_the_model_to_try_is_the_documented_one_where_it_is_served() -> None:
    assert quickstart_model(demo_catalog()) == QUICKSTART_MODEL


def test_else_the_model_to_try_is_a_chat_model_else_any_else_none() -> None:
    model = quickstart_model(catalog_of(openai=None))
    found = demo_catalog().resolve(model or "")
    assert found is not None
    assert found.model is not None
    assert found.model.mode == "chat"
    assert quickstart_model(catalog_of(mine=["b", "a"])) == "mine/a"
    assert quickstart_model(Catalog(Config(), load_seed())) is None


def test_the_lines_to_try_hold_url_key_and_model_in_all_three_languages() -> None:
    text = quickstart_text("http://127.0.0.1:1/v1", "sk-syze-secret", "some/model")
    for part in ("curl:", "Python", "Node.js"):
        assert part in text
    assert text.count("some/model") == 3
    assert text.count("sk-syze-secret") == 4
    assert text.count("http://127.0.0.1:1/v1") == 4
    (data,) = re.findall(r"-d '(.*)'", text)
    assert json.loads(data)["model"] == "some/model"


def test_the_python_lines_are_python_and_the_json_is_json() -> None:
    text = quickstart_text("http://127.0.0.1:1/v1", "sk-syze-secret", "some/model")
    lines = text.split("Python (pip install openai):")[1].split("Node.js")[0]
    compile("\n".join(line.removeprefix("  ") for line in lines.splitlines()), "shown", "exec")
    (data,) = re.findall(r"-d '(.*)'", text)
    assert msgspec.json.decode(data)["messages"][0]["role"] == "user"


def test_without_a_model_the_lines_say_where_to_look() -> None:
    text = quickstart_text("http://127.0.0.1:1/v1", "sk-syze-secret", None)
    assert "http://127.0.0.1:1/v1/models" in text
    assert "sk-syze-secret" in text
