"""The import rules: which part of the house may know which other.

The folder layout is the architecture, and an import is the only way one part can come to know
another, so the rules are checked on the imports of every module, read from the source without
running it. Imports inside functions and under `TYPE_CHECKING` count like all others: a name that
is only needed for an annotation still ties two parts together.

A rule comes in three kinds. `Forbid` keeps a part from importing some names. `Confine` keeps some
names, mostly a library, to the parts that are meant to hold it. `Pure` allows a part the standard
library and a named few besides. Each rule says why it exists, and the reason is printed when it
is broken. The second half of this file breaks each kind on a small made-up tree, so that a rule
that cannot fail would be noticed.
"""

import ast
import sys
from collections.abc import Iterable, Iterator, Mapping
from graphlib import CycleError, TopologicalSorter
from pathlib import Path
from typing import NamedTuple

import pytest

ROOT = Path(__file__).resolve().parent.parent
PACKAGES = ("adapters", "limiter", "router")


class Import(NamedTuple):
    """One imported name as it is written, made absolute: `from a.b import c` is `a.b.c`."""

    name: str
    line: int


Tree = Mapping[str, tuple[Import, ...]]  # module name -> what it imports


class Forbid(NamedTuple):
    """No module under `within` imports a name under `names`, except those under `but`.

    A name that ends in a star stands for all that begin so.
    """

    within: str
    names: tuple[str, ...]
    why: str
    but: tuple[str, ...] = ()


class Confine(NamedTuple):
    """A name under `names` is imported by modules under `to` and by nobody else."""

    names: tuple[str, ...]
    to: tuple[str, ...]
    why: str


class Pure(NamedTuple):
    """Modules under `within` import themselves, the standard library and `besides` only."""

    within: str
    besides: tuple[str, ...]
    why: str


Rule = Forbid | Confine | Pure

SANS_IO = "it is arithmetic over bytes and structs: whoever waits for it lives in router"
# What single modules of a pure package may import besides, each with its reason.
_WAITS = "the store is another machine: asking it is waiting"
EXCEPTIONS: Mapping[str, tuple[tuple[str, ...], str]] = {
    "limiter.valkey.link": (("coredis",), "the one place that speaks to the store"),
    "limiter.valkey.engine": (("trio",), _WAITS),
    "limiter.valkey.rounds": (("trio",), _WAITS),
    "limiter.valkey.waiting": (("trio",), _WAITS),
    "adapters.bedrock.signer": (("botocore",), "nobody should write AWS's signatures again"),
    "adapters.bedrock.frame_decoder": (("botocore",), "nor its binary frames with their checksums"),
    "adapters.gemini.account_signer": (("jwt", "cryptography"), "nor signatures of RSA keys"),
}

RULES: tuple[Rule, ...] = (
    Forbid(
        "adapters", ("router", "limiter"), "a dialect can be tested and read without the gateway"
    ),
    Forbid("limiter", ("router", "adapters"), "admission knows amounts, not who asks or answers"),
    Pure("adapters", ("msgspec",), SANS_IO),
    Pure("limiter", ("msgspec",), SANS_IO),
    Forbid(
        "router.upstream",
        ("router.exchange", "router.front", "router.accounts", "router.catalog", "router.observe"),
        "it carries bytes to an origin, whoever asked, whatever they cost",
    ),
    Forbid("router.upstream.pool", ("trio",), "the assignment core decides, its shell waits"),
    Forbid("router.exchange", ("router.front",), "a request's life does not depend on its door"),
    Forbid(
        "router.routing",
        ("trio", "router"),
        "a decision is a function of what it is told, the time included, so that it can be played through",
        but=("router.routing", "router.errors"),
    ),
    Forbid(
        "router.front", ("router.upstream",), "only the exchange starts attempts and accounts them"
    ),
    Confine(
        ("quart", "quart_trio", "hypercorn"),
        ("router.front", "router.console.console", "router.app", "router.gateway", "router.cli"),
        "handlers know no web framework, so another front could call them",
    ),
    Confine(
        ("sqlalchemy", "alembic"),
        ("router.accounts", "router.ledger"),
        "the database is read and written by those who keep books in it, and never on the hot path",
    ),
    Confine(
        ("prometheus_client", "opentelemetry", "structlog"),
        ("router.observe", "router.app", "router.gateway", "router.cli"),
        "others report what happened once; how it is told is decided in one place",
    ),
    Forbid(
        "router.errors",
        ("trio", "router"),
        "everything raises these, so they know nothing",
        but=("router.errors",),
    ),
    Forbid("router.config*", ("trio",), "reading a file is not waiting for anything"),
    Forbid(
        "router.config*",
        ("router",),
        "every part reads its own section, so the configuration can know none of them",
        but=("router.config*",),
    ),
    Forbid(
        "router.simulator",
        ("router",),
        "a provider that shared the gateway's code would share its mistakes, and hide them",
        but=("router.simulator",),
    ),
    Forbid(
        "router.loadtest",
        ("router",),
        "a client that shared the gateway's code would share its mistakes, and hide them",
        but=("router.loadtest",),
    ),
    Confine(
        ("router.loadtest",),
        ("router.loadtest", "router.cli_bench"),
        "it asks servers from outside, and none of them may depend on who asks",
    ),
    Confine(
        ("router.simulation",),
        ("router.simulation", "router.cli_simulate"),
        "it plays with the parts that serve requests, and none of them may depend on a game",
    ),
    Forbid(
        "router.simulation",
        ("trio", "router.front", "router.upstream", "router.accounts", "router.observe"),
        "its clock is an argument, and it asks nobody",
    ),
)


def under(name: str, prefixes: Iterable[str]) -> bool:
    """Tell whether `name` is one of `prefixes` or something inside of it."""
    return any(
        name.startswith(prefix[:-1])
        if prefix.endswith("*")
        else f"{name}.".startswith(f"{prefix}.")
        for prefix in prefixes
    )


def module_name(path: str) -> str:
    """`router/front/__init__.py` is the module `router.front`."""
    return path.removesuffix(".py").removesuffix("/__init__").replace("/", ".")


def imports(path: str, source: str) -> Iterator[Import]:
    """Every import in one file, wherever it stands in it; relative ones are made absolute."""
    package = path.split("/")[:-1]
    for node in ast.walk(ast.parse(source, path)):
        if isinstance(node, ast.Import):
            yield from (Import(alias.name, node.lineno) for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            above = package[: len(package) - node.level + 1] if node.level else []
            base = [*above, *([node.module] if node.module else [])]
            for alias in node.names:
                yield Import(".".join([*base, alias.name]), node.lineno)


def parse(sources: Mapping[str, str]) -> Tree:
    """Read a tree of files, given as path relative to the root -> source."""
    return {module_name(path): tuple(imports(path, text)) for path, text in sources.items()}


def allowed_besides(module: str, rule: Pure) -> tuple[str, ...]:
    return (*rule.besides, *EXCEPTIONS.get(module, ((), ""))[0])


def breaks(module: str, name: str, rule: Rule) -> bool:
    """Tell whether `module` importing `name` breaks `rule`."""
    if isinstance(rule, Forbid):
        return (
            under(module, [rule.within]) and under(name, rule.names) and not under(name, rule.but)
        )
    if isinstance(rule, Confine):
        return under(name, rule.names) and not under(module, rule.to)
    home = name.partition(".")[0] in sys.stdlib_module_names or under(name, [rule.within])
    return (
        under(module, [rule.within]) and not home and not under(name, allowed_besides(module, rule))
    )


def violations(tree: Tree, rule: Rule) -> list[str]:
    """Each import in `tree` that breaks `rule`, as a line for a person."""
    return [
        f"{module}, line {found.line}, imports {found.name}: not allowed, because {rule.why}"
        for module, names in sorted(tree.items())
        for found in names
        if breaks(module, found.name, rule)
    ]


def owner(tree: Tree, name: str) -> str | None:
    """The module of `tree` that an import of `name` reads: itself, or the one it is a name of."""
    if name in tree:
        return name
    parent = name.rpartition(".")[0]
    return parent if parent in tree else None


def cycle(tree: Tree) -> list[str]:
    """One import cycle as a list of modules that starts and ends with the same one, or []."""
    graph = {
        module: {target for found in names if (target := owner(tree, found.name))}
        for module, names in tree.items()
    }
    try:
        TopologicalSorter(graph).prepare()
    except CycleError as error:
        return list(error.args[1])
    return []


def describe(rule: Rule) -> str:
    if isinstance(rule, Forbid):
        return f"{rule.within} without {'+'.join(rule.names)}"
    if isinstance(rule, Confine):
        return f"{'+'.join(rule.names)} only in {'+'.join(rule.to)}"
    return f"{rule.within} is pure"


def subjects(rule: Rule) -> tuple[str, ...]:
    return rule.to if isinstance(rule, Confine) else (rule.within,)


@pytest.fixture(scope="module")
def tree() -> Tree:
    paths = [path for package in PACKAGES for path in (ROOT / package).rglob("*.py")]
    return parse({path.relative_to(ROOT).as_posix(): path.read_text("utf-8") for path in paths})


@pytest.mark.parametrize("rule", RULES, ids=describe)
def test_the_tree_keeps_the_rule(tree: Tree, rule: Rule) -> None:
    found = violations(tree, rule)
    assert not found, "\n" + "\n".join(found)


@pytest.mark.parametrize("rule", RULES, ids=describe)
def test_the_rule_speaks_of_modules_that_exist(tree: Tree, rule: Rule) -> None:
    absent = [name for name in subjects(rule) if not any(under(module, [name]) for module in tree)]
    assert not absent, f"the rule {describe(rule)!r} guards nothing: {absent} do not exist"


def test_the_tree_has_no_import_cycle(tree: Tree) -> None:
    found = cycle(tree)
    assert not found, f"{' -> '.join(found)}: none of these can be read or tested by itself"


def test_every_exception_names_a_module_and_a_reason(tree: Tree) -> None:
    for module, (names, reason) in EXCEPTIONS.items():
        assert module in tree, f"{module} does not exist any more: drop its exception"
        assert names, f"the exception of {module} allows nothing"
        assert reason, f"the exception of {module} has no reason"


FORBID = Forbid("shop.front", ("shop",), "reason", but=("shop.front", "shop.words"))
STAR = Forbid("shop.words*", ("trio",), "reason")
CONFINE = Confine(("quart",), ("shop.front",), "reason")
PURE = Pure("sums", ("msgspec",), "reason")


@pytest.mark.parametrize(
    ("rule", "path", "source"),
    [
        (FORBID, "shop/front/door.py", "import shop.till"),
        (FORBID, "shop/front/door.py", "from shop import till"),
        (FORBID, "shop/front/door.py", "from shop.till import count"),
        (FORBID, "shop/front/door.py", "from ..till import count"),
        (FORBID, "shop/front/__init__.py", "from .. import till"),
        (FORBID, "shop/front/door.py", "def f():\n    import shop.till"),
        (FORBID, "shop/front/door.py", "if TYPE_CHECKING:\n    from shop.till import Till"),
        (FORBID, "shop/front/door.py", "try:\n    import shop.till\nexcept ImportError:\n    pass"),
        (CONFINE, "shop/till.py", "import quart"),
        (CONFINE, "shop/till.py", "import os, quart.utils as q"),
        (CONFINE, "shop/fronts.py", "from quart import Quart"),
        (STAR, "shop/words_read.py", "import trio"),
        (PURE, "sums/add.py", "import trio"),
        (PURE, "sums/add.py", "from shop import till"),
        (PURE, "sums/add.py", "import msgspecial"),
    ],
)
def test_a_broken_rule_is_found_with_its_line_and_reason(
    rule: Rule, path: str, source: str
) -> None:
    [found] = violations(parse({path: source}), rule)
    assert found.startswith(f"{module_name(path)}, line ")
    assert found.endswith(f"because {rule.why}")


@pytest.mark.parametrize(
    ("rule", "path", "source"),
    [
        (FORBID, "shop/front/door.py", "from . import bell"),
        (FORBID, "shop/front/door.py", "from .bell import ring\nfrom shop.words import hello"),
        (FORBID, "shop/front/door.py", "import shopping"),
        (FORBID, "shop/till.py", "import shop.front.door"),
        (CONFINE, "shop/front/door.py", "import quart"),
        (CONFINE, "shop/till.py", "import quart_trio, quartz"),
        (STAR, "shop/word.py", "import trio"),
        (PURE, "sums/add.py", "import math, msgspec.json\nfrom sums import carry\nfrom . import x"),
        (PURE, "shop/till.py", "import trio"),
    ],
)
def test_an_allowed_import_is_left_alone(rule: Rule, path: str, source: str) -> None:
    assert violations(parse({path: source}), rule) == []


@pytest.mark.parametrize(
    "sources",
    [
        {"a.py": "import b", "b.py": "import a"},
        {"a.py": "import b", "b.py": "from c import x", "c.py": "def f():\n    from a import y"},
        {"p/__init__.py": "from p.a import x", "p/a.py": "from p import y"},
        {"p/a.py": "from . import b", "p/b.py": "if TYPE_CHECKING:\n    from .a import A"},
    ],
)
def test_a_cycle_is_found_whole(sources: Mapping[str, str]) -> None:
    found = cycle(parse(sources))
    assert found[0] == found[-1]
    assert set(found) == {module_name(path) for path in sources}


def test_sharing_a_module_is_no_cycle() -> None:
    sources = {
        "p/__init__.py": "from p.a import x\nfrom p.b import y",
        "p/a.py": "from p import words\nfrom p.words import w",
        "p/b.py": "from .words import w\nfrom p.a import x",
        "p/words.py": "import os",
    }
    assert cycle(parse(sources)) == []
