"""Money: what accounts, limits and the ledger add to the CPU time of a request.

Two gateways stand before one provider: the real one, whose caller is prepaid and limited in every way, and
one that is the same program without money (`bench.money_bare`). They are started anew for each pair of
windows and loaded in turn, so that a slow minute of the machine falls on both.
"""

import os
import tempfile
from collections.abc import Collection
from pathlib import Path
from typing import Final

from bench.cores import Layout, running_on
from bench.cost import costs_by_round
from bench.machine import describe_machine
from bench.money_record import Money, MoneySettings, Pair, median_more
from bench.processes import LOOPBACK, free_port, raise_file_limit
from bench.prose import paragraphs
from bench.record import Check, Origin
from bench.stand import (
    Prepared,
    gateway_config,
    priced,
    python_command,
    serve_command,
    serving_provider,
)
from bench.work import MODEL
from limiter.demand import Limits
from router.accounts.account_store import AccountStore
from router.accounts.keys import KeyTerms
from router.accounts.store import KeyStore
from router.ledger.book import Book
from router.loadtest.progress import Progress
from router.loadtest.target import Target

PLENTY: Final = 10**9
WITH: Final = "with money"
WITHOUT: Final = "without"
CREDIT: Final = 10**15  # nano-dollars: a million dollars
_LIMITS: Final = Limits(requests=PLENTY, tokens=PLENTY * 1000, concurrency=PLENTY)
_METHOD: Final = """
CPU time is user + system time of a gateway process with all its threads, so also of those that write to the
database, read from the operating system (/proc/PID/stat, ticks of 10 ms) at both ends of a window of steady
load, divided by the answers in the window.

"With money" is a gateway as it is installed, with a model that has a price and a caller whose account is
prepaid: its key and its account have limits on requests, tokens and calls at once, and its key has a budget.
Each request reserves all of these and its credit, is settled into the journal before its answer goes out, and
is booked in SQLite.

"Without" is the same program, started beside it, in which admission, the settlement at a request's end, and
the tasks that read balances and book are replaced by nothing. Keys are checked in both.

Requests: POST /v1/chat/completions without streaming, {tokens} tokens in the answer, {connections} kept-alive
connections in a closed loop; the provider answers at once. {pairs} pairs of windows of {seconds:g} s, each
after {warm:g} s of load, in turn one or the other first. Both gateways are started anew for each pair: a
process differs from another of the same program by a tenth, by where its memory came to lie.
"""


def measure_money(settings: MoneySettings, *, name: str, note: str, progress: Progress) -> Money:
    """Measure all pairs. Raises StandFailed, or an exception group from the load."""
    cores = os.sched_getaffinity(0)
    layout = Layout.of(cores)
    raise_file_limit(4 * settings.connections + 200)
    origin = Origin.now(name=name, note=note, machine=describe_machine(len(cores)))
    with running_on(layout.load), tempfile.TemporaryDirectory(prefix="syze-bench-") as kept:
        folder = Path(kept)
        pairs = _measure(settings, folder, layout, progress)
        booked, sound = _books_of(folder / WITH.replace(" ", "-"))
    more = median_more(pairs)
    checks = [
        Check(
            f"at most {settings.allowed_us:g} µs more",
            more <= settings.allowed_us,
            f"{more:.1f} µs",
        ),
        Check("the books are sound", sound, f"{booked:,} requests booked"),
    ]
    return Money(
        origin=origin,
        method=_method(settings),
        settings=settings,
        pairs=pairs,
        booked=booked,
        checks=checks,
    )


def _measure(
    settings: MoneySettings, folder: Path, layout: Layout, progress: Progress
) -> list[Pair]:
    with serving_provider(folder, cores=layout.load) as (provider, direct):
        gateways = [_prepared(name, direct, folder, layout.gateway) for name in (WITH, WITHOUT)]
        costs = costs_by_round(
            settings, gateways, rounds=settings.pairs, provider=provider, progress=progress
        )
        return [Pair(*pair) for pair in costs]


def _prepared(name: str, provider: Target, folder: Path, cores: Collection[int]) -> Prepared:
    """Make a gateway's folder: its configuration, and a store with a key."""
    own = folder / name.replace(" ", "-")
    own.mkdir()
    port = free_port()
    config = own / "syze.toml"
    config.write_text(gateway_config(provider, port) + priced(f"sim/{MODEL}"))
    secret = prepaid_key(own)
    bare = python_command("bench.money_bare", str(config))
    command = serve_command(config) if name == WITH else bare
    target = Target(LOOPBACK, port, "/v1", secret, f"sim/{MODEL}")
    return Prepared(name, own, command, target, cores)


def prepaid_key(folder: Path) -> str:
    """Open a prepaid account with every limit and much credit; return a key of it."""
    store = KeyStore.open(folder / "bench.db")
    try:
        account = AccountStore(store.database).create("bench", prepaid=True, limits=_LIMITS)
        Book(store.database).top_up(account.id, CREDIT, key="bench")
        terms = KeyTerms(limits=_LIMITS, budget_nanodollars=CREDIT)
        return store.create("bench", account=account.id, terms=terms)[1]
    finally:
        store.close()


def _books_of(folder: Path) -> tuple[int, bool]:
    """Return how many requests are booked after the gateway has ended, and whether the books are sound."""
    store = KeyStore.open(folder / "bench.db")
    try:
        proof = Book(store.database).verify()
        return proof.entries - 1, proof.sound
    finally:
        store.close()


def _method(settings: MoneySettings) -> list[str]:
    text = _METHOD.format(
        tokens=settings.tokens,
        connections=settings.connections,
        pairs=settings.pairs,
        seconds=settings.seconds,
        warm=settings.warm,
    )
    return paragraphs(text)
