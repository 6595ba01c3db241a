"""Filling in what an operator left out, and finding what cannot be true together.

All of this happens on the plain tree, before it is decoded: a default that stands in the tree is
checked like any other value. Nothing here trusts the tree's shape; what is malformed is left alone
for the decoder to report.
"""

import difflib
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any, Final
from urllib.parse import urlsplit

from adapters.credential import check_address
from adapters.dialect_preset import DIALECT_PRESETS, DialectPreset
from adapters.providers import KNOWN_PROVIDERS, KnownProvider
from router.config.decode import Problem, show
from router.config.environment import expand_home, home, key_reference

Tree = dict[str, Any]

# What of `server` a variable overrides, so that one may try the other way without touching the file.
_OVERRIDES: Final = (("http1", "SYZE_HTTP1"), ("relay", "SYZE_RELAY"))


def with_defaults(tree: Tree, environ: Mapping[str, str], folder: Path) -> Tree:
    """Return the tree with presets, keys and paths filled in; relative paths start at `folder`."""
    filled = dict(tree)
    filled["store"] = _with_store_path(tree.get("store", {}), environ, folder)
    server = tree.get("server", {})
    if isinstance(server, dict):
        filled["server"] = (
            server
            | _absolute(server, ("tls_certificate", "tls_key"), environ, folder)
            | {name: environ[variable] for name, variable in _OVERRIDES if environ.get(variable)}
        )
    for section, name in (("limits", "folder"), ("money", "journal")):
        table = tree.get(section)
        if isinstance(table, dict) and table.get(name):
            filled[section] = table | _absolute(table, (name,), environ, folder)
    if isinstance(filled["store"], dict) and "url" in filled["store"]:
        filled["money"] = _with_journal(filled.get("money", {}), environ)
    providers = tree.get("providers", {})
    if isinstance(providers, dict):
        filled["providers"] = {
            name: _with_preset(name, table, environ) if isinstance(table, dict) else table
            for name, table in providers.items()
        }
    return filled


def with_timeouts(tree: Tree) -> Tree:
    """Return a checked tree in which a provider's own timeouts lie over the general ones."""
    general = tree.get("timeouts", {})
    providers = {
        name: table | {"timeouts": general | table.get("timeouts", {})}
        for name, table in tree["providers"].items()
    }
    return tree | {"providers": providers}


def find_contradictions(tree: Tree) -> Iterator[Problem]:
    """Yield what no value shows alone: a missing address, key or target, half a TLS pair."""
    server = tree.get("server")
    if isinstance(server, dict):
        yield from _in_tls(server)
    store = tree.get("store")
    if isinstance(store, dict) and "path" in store and "url" in store:
        yield Problem("store.url", "`path` is set as well; a store is in one place")
    providers = tree.get("providers")
    if isinstance(providers, dict):
        for name, table in providers.items():
            if isinstance(table, dict):
                yield from _in_provider(name, table)
    money = tree.get("money")
    if isinstance(money, dict) and isinstance(money.get("prices"), dict):
        yield from _in_prices(money["prices"], providers if isinstance(providers, dict) else {})
    models = tree.get("models")
    if isinstance(models, dict):
        for name, table in models.items():
            if isinstance(table, dict) and all(value in ([], {}) for value in table.values()):
                at = show(("models", name, "target"))
                yield Problem(at, "missing: an entry that says nothing changes nothing")


def _with_store_path(store: object, environ: Mapping[str, str], folder: Path) -> object:
    if not isinstance(store, dict):
        return store
    if "url" in store:
        return store
    if "path" in store:
        # An empty path is left as it is, for the decoder to refuse.
        return store | (_absolute(store, ("path",), environ, folder) if store["path"] else {})
    return store | {"path": str(_state_folder(environ) / "syze.db")}


def _with_journal(money: object, environ: Mapping[str, str]) -> object:
    """A database on a server has no folder beside it, so the journal is where a store would be."""
    if not isinstance(money, dict):
        return money
    return {"journal": str(_state_folder(environ) / "journal")} | money


def _state_folder(environ: Mapping[str, str]) -> Path:
    state = environ.get("XDG_STATE_HOME")
    base = Path(state) if state else home(environ) / ".local" / "state"
    return base / "syze"


def _absolute(
    table: Tree, names: tuple[str, ...], environ: Mapping[str, str], folder: Path
) -> Tree:
    return {
        name: str((folder / expand_home(table[name], environ)).absolute())
        for name in names
        if isinstance(table.get(name), str)
    }


def _with_preset(name: str, table: Tree, environ: Mapping[str, str]) -> Tree:
    known = KNOWN_PROVIDERS.get(name)
    spoken = _spoken(table, known)
    if known is None:
        # A provider that nobody knows serves nothing unless it is listed or asked.
        asked = {"discover": "models" not in table and spoken.lists_models}
        return asked | _of_dialect(spoken) | table | _with_paths(spoken.paths, table)
    dialect = _dialect_of(table, known)
    own_dialect = dialect == known.dialect
    preset: Tree = {
        "dialect": dialect,
        "key_header": known.key_header,
        "stream_usage": known.stream_usage,
    }
    if not own_dialect:
        preset |= _of_dialect(spoken)
    address = known.base_url if own_dialect else _address(known, spoken, dialect)
    if address is not None:
        preset["base_url"] = address
    redirected = _is_redirected(known, table)
    listing = (known.discover or redirected) and spoken.lists_models
    preset["discover"] = listing and "models" not in table
    # A key goes by itself only to the provider it belongs to, never to another address.
    key = None if redirected else key_reference(known, environ)
    if key is not None and not table.get("keys"):
        preset["key"] = key
    paths = spoken.paths if redirected or not own_dialect else (*spoken.paths, *known.paths)
    return preset | table | _with_paths(paths, table)


def _dialect_of(table: Tree, known: KnownProvider | None) -> object:
    """Return what a provider speaks; at a known provider's address for OpenAI's form, that."""
    default = "openai" if known is None else known.dialect
    if known is not None and known.openai_url is not None:
        written = table.get("base_url")
        if isinstance(written, str) and written.rstrip("/") == known.openai_url:
            default = "openai"
    return table.get("dialect", default)


def _spoken(table: Tree, known: KnownProvider | None) -> DialectPreset:
    """Return what is usual for the dialect; one that there is not is left for the decoder to report."""
    written = _dialect_of(table, known)
    usual = DIALECT_PRESETS["openai"]
    return DIALECT_PRESETS.get(written, usual) if isinstance(written, str) else usual


def _of_dialect(spoken: DialectPreset) -> Tree:
    address = {} if spoken.base_url is None else {"base_url": spoken.base_url}
    return {"key_header": spoken.key_header} | address


def _address(known: KnownProvider, spoken: DialectPreset, dialect: object) -> str | None:
    """Return where a known provider is asked in a dialect that it does not usually speak here."""
    if dialect == "openai" and known.openai_url is not None:
        return known.openai_url
    if known.base_url is None or _same_host(spoken.base_url, known.base_url):
        return spoken.base_url
    return known.base_url


def _with_paths(usual: tuple[tuple[str, str], ...], table: Tree) -> Tree:
    paths = table.get("paths", {})
    return {"paths": dict(usual) | paths} if usual and isinstance(paths, dict) else {}


def _same_host(one: str | None, other: str) -> bool:
    return one is not None and urlsplit(one).hostname == urlsplit(other).hostname


def _is_redirected(known: KnownProvider, table: Tree) -> bool:
    if known.base_url is None:
        return False
    own = {known.base_url, known.openai_url}
    spoken = _spoken(table, known).base_url
    if spoken is not None and _same_host(spoken, known.base_url):
        own.add(spoken)
    return str(table.get("base_url", known.base_url)).rstrip("/") not in own


def _in_tls(server: Tree) -> Iterator[Problem]:
    pair = ("tls_certificate", "tls_key")
    given = [name for name in pair if name in server]
    if len(given) == 1:
        (absent,) = set(pair) - set(given)
        yield Problem(f"server.{absent}", f"missing: {given[0]} alone is not enough for TLS")
    for name in given:
        if isinstance(server[name], str) and not Path(server[name]).is_file():
            yield Problem(f"server.{name}", f"there is no file {server[name]}")


def _in_provider(name: str, table: Tree) -> Iterator[Problem]:
    known = KNOWN_PROVIDERS.get(name)
    if "base_url" not in table:
        yield _no_address(name, known)
    yield from _in_dialect(name, table, known)
    headers = table.get("headers")
    sent = {header.lower() for header in headers} if isinstance(headers, dict) else set()
    key_header = table.get("key_header", "authorization")
    given = [written for written in ("key", "keys") if table.get(written, []) != []]
    if given and isinstance(key_header, str) and key_header.lower() in sent:
        at = show(("providers", name, given[0]))
        yield Problem(at, f"its header {key_header.lower()} is set in `headers` as well")
    needs_key = known is not None and known.key_variables and not _is_redirected(known, table)
    if known is not None and needs_key and not given and not sent:
        variables = " or ".join(known.key_variables)
        at = show(("providers", name, "key"))
        yield Problem(at, f'missing: set {variables}, or write "env:NAME" or "file:PATH"')


def _in_dialect(name: str, table: Tree, known: KnownProvider | None) -> Iterator[Problem]:
    """Yield what a provider's dialect asks for: models by name, and an address with a region."""
    dialect, address = table.get("dialect"), table.get("base_url")
    spoken = _spoken(table, known)
    if not spoken.lists_models and table.get("discover") is True:
        at = show(("providers", name, "discover"))
        yield Problem(at, "a provider of this dialect is not asked for its models; name them")
    if known is None and not spoken.lists_models and "models" not in table:
        at = show(("providers", name, "models"))
        yield Problem(at, "missing: a provider of this dialect is not asked for its models")
    paths = table.get("paths")
    if dialect not in {None, "openai"} and isinstance(paths, dict) and "responses" in paths:
        at = show(("providers", name, "paths", "responses"))
        yield Problem(at, "only a provider of the dialect openai has Responses")
    if isinstance(dialect, str) and isinstance(address, str):
        try:
            check_address(dialect, address)
        except ValueError as error:
            yield Problem(show(("providers", name, "base_url")), str(error))


def _in_prices(prices: Tree, providers: Tree) -> Iterator[Problem]:
    for name, rates in prices.items():
        provider, slash, model = name.partition("/")
        if rates == {}:
            yield Problem(show(("money", "prices", name)), "missing: a rate, such as `input`")
        if slash and provider not in providers:
            near = difflib.get_close_matches(provider, providers, n=1)
            yield Problem(
                show(("money", "prices", name)),
                f"no provider {provider!r} is configured",
                f"{near[0]}/{model}" if near else None,
            )


def _no_address(name: str, known: KnownProvider | None) -> Problem:
    at = show(("providers", name, "base_url"))
    if known is not None:
        return Problem(at, f"missing: every customer of {name} has an address of his own")
    near = difflib.get_close_matches(name.lower(), KNOWN_PROVIDERS, n=1)
    message = "missing: no provider of this name is known"
    return Problem(at, message, show(("providers", near[0])) if near else None)
