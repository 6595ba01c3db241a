"""Whatever is wrong anywhere in a configuration is refused, and the finding points there (I11)."""

import tomllib
from pathlib import Path
from typing import Any

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from router.config import Config, Secret, schema
from router.config.decode import Problem, convert, find_problems, show
from router.config.defaults import find_contradictions, with_defaults, with_timeouts
from router.config.schema import Section
from router.config.secret import SecretReader

VALID = """
[server]
bind = ["127.0.0.1:0"]
[store]
path = "x.db"
[timeouts]
connect = 1
[providers.mine]
base_url = "http://host/v1"
key = "env:TOKEN"
keys = ["env:TOKEN"]
models = ["a", { upstream = "b" }]
headers = { x = "y" }
query = { version = "1" }
[providers.mine.paths]
chat = "/c"
[providers.mine.timeouts]
idle = 2
[models.alias]
target = "mine/a"
fallbacks = ["mine/b"]
[models.alias.timeouts]
connect = 3
[race]
hedge = false
[limits]
tokens_per_minute = 1000
[limits.models."mine/a"]
requests_per_minute = 5
[money]
markup = 1.2
[money.prices."mine/a"]
output = 3
[admin]
key = "env:TOKEN"
[admin.payments.bank]
secrets = ["env:TOKEN"]
[fetch]
max_bytes = 1000
[log]
level = "info"
[metrics]
enabled = true
"""

Place = tuple[str | int, ...]

# Every table whose keys are fixed; headers, query, providers and models take names of any kind.
TABLES: tuple[Place, ...] = (
    (),
    ("server",),
    ("store",),
    ("timeouts",),
    ("providers", "mine"),
    ("providers", "mine", "paths"),
    ("providers", "mine", "timeouts"),
    ("providers", "mine", "models", 1),
    ("models", "alias"),
    ("models", "alias", "timeouts"),
    ("race",),
    ("limits",),
    ("limits", "models", "mine/a"),
    ("money",),
    ("money", "prices", "mine/a"),
    ("admin",),
    ("admin", "payments", "bank"),
    ("fetch",),
    ("log",),
    ("metrics",),
)

VALUES = st.one_of(
    st.text(), st.integers(), st.floats(), st.booleans(), st.lists(st.integers(), max_size=2)
)


def problems(tree: dict[str, Any]) -> list[Problem]:
    hook = SecretReader({"TOKEN": "hush, hush, nobody may know"}, Path()).read
    return list(find_problems(tree, Config, hook=hook))


def within(tree: Any, path: Place) -> Any:
    for step in path:
        tree = tree[step]
    return tree


LONG_NAMES = [
    (path, name) for path in TABLES for name in within(tomllib.loads(VALID), path) if len(name) > 5
]


def test_the_configuration_of_these_properties_is_valid() -> None:
    assert problems(tomllib.loads(VALID)) == []


@given(table=st.sampled_from(TABLES), name=st.text(), value=VALUES)
def test_i11_an_unknown_key_anywhere_is_refused_with_its_path(
    table: Place, name: str, value: object
) -> None:
    tree = tomllib.loads(VALID)
    target = within(tree, table)
    if name in {field for kind in Section.__subclasses__() for field in kind.__struct_fields__}:
        name += "?"
    target[name] = value
    (problem,) = problems(tree)
    assert problem.path == show((*table, name))
    assert problem.message.startswith("unknown key")


@given(tables=st.sets(st.sampled_from(TABLES), min_size=1))
def test_i11_every_unknown_key_is_told(tables: set[Place]) -> None:
    tree = tomllib.loads(VALID)
    for table in tables:
        within(tree, table)["no such key"] = 1
    assert {problem.path for problem in problems(tree)} == {
        show((*table, "no such key")) for table in tables
    }


@given(where=st.sampled_from(LONG_NAMES), data=st.data())
def test_i11_a_mistyped_key_is_told_the_right_one(
    where: tuple[Place, str], data: st.DataObject
) -> None:
    path, right = where
    tree = tomllib.loads(VALID)
    table = within(tree, path)
    lost = data.draw(st.integers(0, len(right) - 1))
    wrong = right[:lost] + right[lost + 1 :]
    table[wrong] = table.pop(right)
    assert (show((*path, wrong)), right) in [(p.path, p.suggestion) for p in problems(tree)]


NAMES = [
    *Config.__struct_fields__,
    *(
        "openai",
        "perplexity",
        "mine",
        "base_url",
        "key",
        "headers",
        "paths",
        "bind",
        "tls_key",
        "path",
    ),
]


@given(
    tree=st.dictionaries(
        st.sampled_from(NAMES),
        st.recursive(
            VALUES, lambda inner: st.dictionaries(st.sampled_from(NAMES), inner), max_leaves=8
        ),
    )
)
def test_i11_whatever_stands_in_a_file_is_decoded_whole_or_has_findings(
    tree: dict[str, Any],
) -> None:
    environ = {"HOME": "/home/someone"}
    hook = SecretReader(environ, Path()).read
    filled = with_defaults(tree, environ, Path())
    if [*find_problems(filled, Config, hook=hook), *find_contradictions(filled)]:
        return
    config = convert(with_timeouts(filled), Config, source="test", hook=hook)
    assert set(config.providers) == set(tree.get("providers", {}))


@given(value=st.text(st.characters(min_codepoint=33, max_codepoint=126), min_size=5))
def test_i12_no_text_of_a_secret_shows_it(value: str) -> None:
    secret = Secret(value)
    assert secret.reveal() == value
    for text in (repr(secret), str(secret), f"{secret}"):
        assert text in {"Secret('***')", "***"}


@given(value=st.text(min_size=1))
def test_i12_a_secret_read_from_anywhere_cannot_break_a_header(value: str) -> None:
    reader = SecretReader({"TOKEN": value}, Path())
    try:
        secret = reader.read(Secret, "env:TOKEN").reveal()
    except ValueError:
        return
    assert secret == value
    assert secret.isascii()
    assert secret.isprintable()


def test_every_table_is_among_those_tried() -> None:
    decoded = {type(found) for table in TABLES for found in [decoded_at(table)]}
    tables = [one for one in vars(schema).values() if isinstance(one, type)]
    of_the_file = {one for one in tables if issubclass(one, Section) and one is not Section}
    assert decoded == of_the_file


def decoded_at(table: Place) -> object:
    hook = SecretReader({"TOKEN": "hush, hush, nobody may know"}, Path()).read
    found: Any = msgspec.convert(tomllib.loads(VALID), Config, dec_hook=hook)
    for step in table:
        is_member = isinstance(found, dict | list)
        found = found[step] if is_member else getattr(found, str(step))
    return found


@pytest.mark.parametrize(
    ("path", "shown"),
    [
        (("a", "b-c", 0, "d"), "a.b-c[0].d"),
        (("models", "gpt-4.1", "x"), 'models."gpt-4.1".x'),
        (("", "two words"), '""."two words"'),
        ((), ""),
    ],
)
def test_a_path_is_shown_as_toml_writes_it(path: Place, shown: str) -> None:
    assert show(path) == shown
