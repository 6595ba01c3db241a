"""The `syze` command as scripts and people use it: output, exit codes, and secrets shown only once."""

import json
import logging
import os
import socket
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import click
import pytest
import structlog
from click.testing import CliRunner, Result

from adapters.providers import KNOWN_PROVIDERS
from router.accounts.store import KeyStore
from router.cli import main
from router.version import VERSION

CONFIG = """
[server]
bind = ["127.0.0.1:0"]
[store]
path = "keys.db"
[providers.openai]
key = "env:TOKEN"
[providers.mine]
base_url = "http://127.0.0.1:9/v1"
models = ["a", { upstream = "b", id = "short" }]
"""


class Command:
    """The command, run in an empty folder, without any provider in its environment."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self._variables: dict[str, str | None] = {
            name: None
            for known in KNOWN_PROVIDERS.values()
            for name in (*known.key_variables, known.address_variable)
            if name is not None
        }
        self._variables |= {
            "HOME": str(folder),
            "TOKEN": "sk-live-token",
            "SYZE_CONFIG": None,
            "XDG_CONFIG_HOME": None,
            "XDG_STATE_HOME": None,
        }

    def write(self, text: str = CONFIG) -> None:
        (self.folder / "syze.toml").write_text(text, encoding="utf-8")

    def run(self, *arguments: str, **variables: str) -> Result:
        environment = {**self._variables, **variables}
        return CliRunner().invoke(main, arguments, env=environment)

    def json(self, *arguments: str) -> Any:
        result = self.run(*arguments, "--json")
        assert result.exit_code == 0, result.output
        assert result.stderr == ""
        return json.loads(result.stdout)


@pytest.fixture
def syze(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Command]:
    monkeypatch.chdir(tmp_path)
    root = logging.getLogger()
    before = (list(root.handlers), root.level)
    yield Command(tmp_path)
    root.handlers, root.level = before
    structlog.reset_defaults()


# Help


def commands_of(group: click.Group) -> Iterator[tuple[str, click.Command]]:
    context = click.Context(group)
    for name in group.list_commands(context):
        command = group.get_command(context, name)
        assert command is not None
        yield name, command


def commands(group: click.Group, path: tuple[str, ...] = ()) -> Iterator[tuple[str, ...]]:
    yield path
    for name, command in commands_of(group):
        if isinstance(command, click.Group):
            yield from commands(command, (*path, name))
        else:
            yield (*path, name)


@pytest.mark.parametrize("path", list(commands(main)), ids=" ".join)
@pytest.mark.parametrize("option", ["--help", "-h"])
def test_every_command_explains_itself(path: Sequence[str], option: str, syze: Command) -> None:
    result = syze.run(*path, option)
    assert result.exit_code == 0
    assert result.stdout.startswith(f"Usage: main {' '.join(path)}".strip())
    assert len(result.stdout.splitlines()) > 3


def test_the_documented_commands_exist() -> None:
    assert {" ".join(path) for path in commands(main)} >= {
        "serve",
        "demo",
        "keys create",
        "keys list",
        "keys revoke",
        "models",
        "config check",
    }


def test_the_version_is_told(syze: Command) -> None:
    result = syze.run("--version")
    assert (result.exit_code, result.stdout) == (0, f"syze, version {VERSION}\n")


@pytest.mark.parametrize(
    "arguments",
    [["nope"], ["keys"], ["keys", "nope"], ["keys", "revoke"], ["serve", "--port", "x"]],
    ids=" ".join,
)
def test_a_wrong_command_line_is_exit_code_2(arguments: list[str], syze: Command) -> None:
    result = syze.run(*arguments)
    assert result.exit_code == 2
    assert "Usage:" in result.stderr + result.stdout


# Keys


def test_a_key_is_shown_once_and_kept_hashed(syze: Command) -> None:
    syze.write()
    created = syze.run("keys", "create", "--name", "build server")
    secret = created.stdout.strip()
    assert created.exit_code == 0
    assert secret.startswith("sk-syze-")
    assert created.stdout.count("\n") == 1
    assert "build server" in created.stderr
    assert secret not in created.stderr
    for arguments in (["keys", "list"], ["keys", "list", "--json"], ["keys", "list", "--all"]):
        assert secret not in syze.run(*arguments).output
    stored = b"".join(path.read_bytes() for path in syze.folder.glob("keys.db*"))
    assert secret.encode() not in stored


def test_keys_are_created_listed_and_revoked_for_scripts(syze: Command) -> None:
    syze.write()
    created = syze.json("keys", "create", "--name", "one")
    assert set(created) >= {"id", "name", "hint", "created_at", "revoked_at", "key"}
    syze.json("keys", "create", "--name", "two")
    assert [key["name"] for key in syze.json("keys", "list")] == ["one", "two"]
    revoked = syze.json("keys", "revoke", created["id"])
    assert revoked["revoked_at"] is not None
    assert "key" not in revoked
    assert [key["name"] for key in syze.json("keys", "list")] == ["two"]
    everything = syze.json("keys", "list", "--all")
    assert [key["revoked_at"] is None for key in everything] == [False, True]
    assert all("key" not in key for key in everything)


def test_keys_are_listed_as_lines_of_tab_separated_facts(syze: Command) -> None:
    syze.write()
    created = syze.json("keys", "create", "--name", "one")
    line = syze.run("keys", "list").stdout.rstrip("\n")
    names = ("id", "name", "hint", "created_at")
    assert line.split("\t")[:5] == [*[created[name] for name in names], "-"]


@pytest.mark.parametrize("by", ["id", "name", "hint", "key"])
def test_a_key_can_be_revoked_by_whatever_one_has_of_it(by: str, syze: Command) -> None:
    syze.write()
    created = syze.json("keys", "create", "--name", "one")
    result = syze.run("keys", "revoke", created[by])
    assert result.exit_code == 0
    assert created["id"] in result.stderr
    assert result.stdout == ""
    assert syze.json("keys", "list") == []


def test_what_cannot_be_done_with_keys_is_exit_code_1_in_one_line(syze: Command) -> None:
    syze.write()
    created = syze.json("keys", "create", "--name", "same")
    syze.json("keys", "create", "--name", "same")
    mistakes = (
        ("revoke", "unknown"),
        ("revoke", "same"),
        ("revoke", created["key"][:-1] + ("y" if created["key"].endswith("x") else "x")),
        ("create", "--name", ""),
    )
    for arguments in mistakes:
        result = syze.run("keys", *arguments)
        assert result.exit_code == 1, arguments
        assert result.stdout == ""
        assert result.stderr.startswith("Error: ")
        assert result.stderr.count("\n") == 1
        assert created["key"][:-1] not in result.output


def test_a_store_that_cannot_be_read_is_exit_code_1(syze: Command) -> None:
    syze.write()
    (syze.folder / "keys.db").write_bytes(b"no database" * 1000)
    result = syze.run("keys", "list")
    assert result.exit_code == 1
    assert "keys.db" in result.stderr


def test_keys_work_without_any_configuration(syze: Command) -> None:
    assert syze.run("keys", "create").exit_code == 0
    assert (syze.folder / ".local" / "state" / "syze" / "syze.db").exists()


# Models


def test_models_are_listed_as_lines_of_tab_separated_facts(syze: Command) -> None:
    syze.write()
    lines = [line.split("\t") for line in syze.run("models").stdout.splitlines()]
    assert {len(line) for line in lines} == {5}
    by_id = {line[0]: line[1:] for line in lines}
    assert by_id["mine/a"] == ["mine", "-", "-", "-"]
    assert by_id["short"][0] == "mine"
    provider, context, price_in, price_out = by_id["openai/gpt-4o-mini"]
    assert provider == "openai"
    assert int(context) > 100_000
    assert 0 < float(price_in) < float(price_out)


def test_models_are_listed_for_scripts_and_of_one_provider(syze: Command) -> None:
    syze.write()
    everything = syze.json("models")
    assert [set(model) for model in everything[:1]] == [
        {"id", "provider", "context_tokens", "input_usd_per_mtok", "output_usd_per_mtok"}
    ]
    mine = syze.json("models", "--provider", "mine")
    assert [model["id"] for model in mine] == ["mine/a", "short"]
    assert len(everything) > len(mine)
    text = syze.run("models", "--provider", "mine").stdout
    assert [line.split("\t")[0] for line in text.splitlines()] == ["mine/a", "short"]


# Configuration


def test_a_good_configuration_is_said_to_be_good(syze: Command) -> None:
    syze.write()
    result = syze.run("config", "check")
    assert result.exit_code == 0
    assert "syze.toml is good: 2 providers" in result.stdout
    facts = syze.json("config", "check")
    assert facts["ok"] is True
    assert facts["source"] == "syze.toml"
    assert facts["providers"] == ["mine", "openai"]
    assert facts["models"] > 2
    assert facts["unresolved_aliases"] == []
    assert facts["missing_models"] == []


def test_an_alias_that_leads_nowhere_is_told(syze: Command) -> None:
    syze.write(CONFIG + '[models.fast]\ntarget = "mine/none"\n')
    result = syze.run("config", "check")
    assert result.exit_code == 0
    assert "'fast'" in result.stderr
    assert syze.json("config", "check")["unresolved_aliases"] == ["fast"]


def test_what_is_wrong_with_a_configuration_is_told_in_full_with_exit_code_2(syze: Command) -> None:
    syze.write('[server]\nbnid = ["x"]\n[timeouts]\nidle = -1\n')
    result = syze.run("config", "check")
    assert result.exit_code == 2
    assert result.stdout == ""
    for part in ("syze.toml", "server.bnid", "bind", "timeouts.idle"):
        assert part in result.stderr
    as_json = syze.run("config", "check", "--json")
    assert as_json.exit_code == 2
    found = json.loads(as_json.stdout)
    assert found["ok"] is False
    assert {problem["path"] for problem in found["problems"]} == {"server.bnid", "timeouts.idle"}
    assert "bind" in {problem["suggestion"] for problem in found["problems"]}


@pytest.mark.parametrize(
    "arguments",
    [["keys", "list"], ["keys", "create"], ["models"], ["serve"], ["config", "check"]],
    ids=" ".join,
)
def test_a_bad_configuration_stops_every_command(arguments: list[str], syze: Command) -> None:
    syze.write("[server]\nbnid = 1\n")
    result = syze.run(*arguments)
    assert (result.exit_code, result.stdout) == (2, "")
    assert "server.bnid" in result.stderr


def test_a_configuration_file_that_does_not_exist_is_exit_code_2(syze: Command) -> None:
    for arguments, variables in (
        (["config", "check", "--config", "none.toml"], {}),
        (["config", "check"], {"SYZE_CONFIG": "none.toml"}),
    ):
        result = syze.run(*arguments, **variables)
        assert result.exit_code == 2
        assert "none.toml" in result.stderr


def test_without_a_file_the_environment_is_the_configuration(syze: Command) -> None:
    result = syze.run("config", "check", "--json", GROQ_API_KEY="gsk_token")
    facts = json.loads(result.stdout)
    assert (facts["source"], facts["providers"]) == ("environment", ["groq"])
    assert "gsk_token" not in result.output


# Serving


def test_a_gateway_without_providers_says_how_to_get_some(syze: Command) -> None:
    result = syze.run("serve")
    assert result.exit_code == 1
    for hint in ("OPENAI_API_KEY", "syze.toml", "syze demo"):
        assert hint in result.stderr


def test_an_address_in_use_is_exit_code_1_with_the_address(syze: Command) -> None:
    syze.write()
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        for arguments in (
            ["serve", "--port", str(port)],
            ["serve", "--bind", f"127.0.0.1:{port}"],
            ["demo", "--port", str(port)],
        ):
            result = syze.run(*arguments)
            assert result.exit_code == 1, arguments
            assert "Error: " in result.stderr
            assert f"cannot listen on 127.0.0.1:{port}" in result.stderr


@pytest.mark.parametrize(
    "address", ["nonsense", "127.0.0.1", "127.0.0.1:x", "127.0.0.1:99999", ":"]
)
def test_a_bind_address_that_is_none_is_exit_code_2(address: str, syze: Command) -> None:
    syze.write()
    result = syze.run("serve", "--bind", address)
    assert result.exit_code == 2
    assert address in result.stderr


def test_each_quickstart_makes_a_fresh_key_and_retires_the_last(syze: Command) -> None:
    syze.write()
    with socket.create_server(("127.0.0.1", 0)) as taken:
        for _ in range(2):
            syze.run("serve", "--quickstart", "--port", str(taken.getsockname()[1]))
    with KeyStore.open(syze.folder / "keys.db") as store:
        assert [key.name for key in store.list_keys()] == ["quickstart"]
        assert len(store.list_keys(include_revoked=True)) == 2


def test_the_environment_of_the_tests_themselves_is_untouched(syze: Command) -> None:
    before = dict(os.environ)
    syze.run("keys", "list")
    assert dict(os.environ) == before


def test_a_gateway_whose_store_cannot_be_read_is_exit_code_1(syze: Command) -> None:
    syze.write()
    (syze.folder / "keys.db").write_bytes(b"no database" * 1000)
    result = syze.run("serve")
    assert result.exit_code == 1
    assert "keys.db" in result.stderr


def test_a_fallback_that_leads_nowhere_is_told(syze: Command) -> None:
    syze.write(CONFIG + '[models."openai/gpt-4o"]\nfallbacks = ["mine/none"]\n')
    result = syze.run("config", "check")
    assert result.exit_code == 0
    assert "'mine/none'" in result.stderr
    assert syze.json("config", "check")["missing_models"] == [
        {"entry": "openai/gpt-4o", "model": "mine/none"}
    ]
