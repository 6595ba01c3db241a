"""The gateway itself, with everything on that it is sold for.

Keys, limits on each of them, and the ledger.
"""

from importlib.metadata import version

import msgspec

from bench.compare.cache import Cache
from bench.compare.contestant import MODEL, Place, Start
from bench.money import prepaid_key
from bench.stand import MAX_CONNECTIONS, priced, serve_command
from router.loadtest.target import Target


class Ours(msgspec.Struct, frozen=True):
    """One gateway with so many workers. Its caller is prepaid, and limited in every way there is."""

    name: str = "syze"
    kind: str = "gateway"
    workers: int = 1

    def install(self, _: Cache) -> str:
        """It is what this belongs to."""
        return version("syzeai")

    def start(self, _: Cache, place: Place) -> Start:
        """Write its configuration, and make an account with credit and a key of it."""
        config = place.folder / "syze.toml"
        config.write_text(_config(place, self.workers), encoding="utf-8")
        key = prepaid_key(place.folder)
        target = Target("127.0.0.1", place.port, "/v1", key, f"mock/{MODEL}")
        trusted = {} if place.certificate is None else {"SSL_CERT_FILE": str(place.certificate)}
        return Start(serve_command(config), target, trusted)


def _config(place: Place, workers: int) -> str:
    return (
        "[server]\n"
        f'bind = ["127.0.0.1:{place.port}"]\n'
        f"workers = {workers}\n"
        "[store]\n"
        'path = "bench.db"\n'
        "[limits]\n"
        'folder = "counts"\n'
        "[providers.mock]\n"
        'dialect = "openai"\n'
        f'base_url = "{place.upstream_url}"\n'
        f'models = ["{MODEL}"]\n'
        f"max_connections = {MAX_CONNECTIONS}\n" + priced(f"mock/{MODEL}")
    )
