"""The reference pages tell what the code does: every option, every error, every command.

A page that is written once and never compared goes out of date in silence. So what a page lists is
compared with the structs, classes and commands themselves, and its examples are read by the code
they are meant for.
"""

import re
from collections.abc import Iterator
from pathlib import Path

import click
import msgspec
import pytest

from adapters.providers import KNOWN_PROVIDERS
from router import config, errors
from router.cli import main
from tests.simulated.service_account import key_file

DOCS = Path(__file__).resolve().parent.parent / "docs"
README = DOCS.parent / "README.md"
TOML = re.compile(r"^```toml\n(.*?)^```", re.MULTILINE | re.DOTALL)


def page(name: str) -> str:
    return (DOCS / name).read_text("utf-8")


def section(name: str, heading: str) -> str:
    """What stands below a heading of a page, up to the next one."""
    _, found, rest = page(name).partition(f"# {heading}\n")
    assert found, f"{name} has no heading {heading!r}"
    return rest.partition("\n#")[0]


def table(name: str, heading: str) -> dict[str, str]:
    """The rows of the table below a heading: first cell -> second cell, without their backticks."""
    rows = re.findall(r"^\| `([^`]+)` \| (.*?) \|", section(name, heading), re.MULTILINE)
    return {cell: second.strip("`") for cell, second in rows}


def toml_text(value: bool | float | str) -> str:
    """A plain value as the pages write it: 30.0 as 30, true, a bare string."""
    if isinstance(value, bool):
        return str(value).lower()
    return f"{value:g}" if isinstance(value, float) else str(value)


def examples() -> Iterator[tuple[str, str]]:
    for path in [README, *sorted(DOCS.rglob("*.md"))]:
        for number, text in enumerate(TOML.findall(path.read_text("utf-8"))):
            yield f"{path.stem}-{number}", text


def subclasses(kind: type[errors.GatewayError]) -> Iterator[type[errors.GatewayError]]:
    for child in kind.__subclasses__():
        yield child
        yield from subclasses(child)


def commands(group: click.Command, path: str) -> Iterator[tuple[str, click.Command]]:
    """Every command below `group` with its whole name; groups themselves are left out."""
    if not isinstance(group, click.Group):
        yield path, group
        return
    context = click.Context(group)
    for name in group.list_commands(context):
        command = group.get_command(context, name)
        assert command is not None
        yield from commands(command, f"{path} {name}")


@pytest.mark.parametrize("text", [pytest.param(text, id=name) for name, text in examples()])
def test_a_configuration_example_is_accepted(text: str, tmp_path: Path) -> None:
    file = tmp_path / "syze.toml"
    file.write_text(text)
    secret = "postgresql://secret"  # good for what wants an address, and for what wants any text
    for name in re.findall(r'"file:([\w.-]+\.json)"', text):
        (tmp_path / name).write_text(key_file())
    for name in re.findall(r'"([\w.-]+\.pem)"', text):
        (tmp_path / name).touch()
    environ = {"HOME": str(tmp_path)} | dict.fromkeys(re.findall(r"env:(\w+)", text), secret)
    config.load_config(file, environ)


@pytest.mark.parametrize(
    ("heading", "struct"),
    [
        ("server", config.ServerConfig),
        ("store", config.StoreConfig),
        ("timeouts", config.TimeoutConfig),
        ("providers.NAME", config.ProviderConfig),
        ("providers.NAME.models", config.ModelEntry),
        ("providers.NAME.paths", config.PathConfig),
        ('models."ID"', config.ModelConfig),
        ('models."ID".timeouts', config.TimeoutOverrides),
        ("race", config.RaceConfig),
        ("limits", config.LimitsConfig),
        ('limits.models."ID"', config.LimitTable),
        ("money", config.MoneyConfig),
        ('money.prices."PROVIDER/MODEL"', config.RateTable),
        ("admin", config.AdminConfig),
        ("admin.payments.NAME", config.PaymentConfig),
        ("fetch", config.FetchConfig),
        ("log", config.LogConfig),
        ("metrics", config.MetricsConfig),
    ],
)
def test_every_configuration_name_is_described_with_its_default(
    heading: str, struct: type[msgspec.Struct]
) -> None:
    told = table("reference/configuration.md", heading)
    fields = msgspec.structs.fields(struct)
    assert set(told) == {field.encode_name for field in fields}
    for field in fields:
        if isinstance(field.default, bool | int | float | str):
            assert told[field.encode_name] == toml_text(field.default)


def test_every_known_provider_is_listed_with_its_variables() -> None:
    rows = page("reference/configuration.md").splitlines()
    for known in KNOWN_PROVIDERS.values():
        [row] = [row for row in rows if row.startswith(f"| `{known.name}` |")]
        for variable in (*known.key_variables, known.address_variable):
            assert variable is None or f"`{variable}`" in row


def test_every_error_code_is_listed_with_its_status() -> None:
    text = page("reference/errors.md")
    for kind in subclasses(errors.GatewayError):
        if kind.code is None:
            continue
        [row] = [row for row in text.splitlines() if f"| `{kind.code}` |" in row]
        fault = issubclass(kind, errors.ClientFault)
        assert not fault or row.startswith(f"| {kind.status} |"), row


@pytest.mark.parametrize(("name", "command"), list(commands(main, "syze")))
def test_every_command_is_described_with_its_options(name: str, command: click.Command) -> None:
    page_name = "reference/command-line.md"
    told = section(page_name, name) + section(page_name, "Options of most commands")
    for parameter in command.params:
        if isinstance(parameter, click.Option):
            assert f"- `{parameter.opts[0]}`" in told
