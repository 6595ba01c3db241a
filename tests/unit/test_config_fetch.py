"""`[fetch]`: what may be fetched for clients, and from where; by default nothing that is not public."""

from pathlib import Path

import pytest

from router.config import FetchConfig
from router.opening import fetcher_of
from router.upstream.fetching import FetchLimits
from tests.unit.written_config import load, refuse

HEAD = "[providers.openai]\n[fetch]\n"


def test_by_default_the_limits_are_the_fetchers_own_and_no_host_is_private() -> None:
    fetcher = fetcher_of(FetchConfig())
    assert fetcher is not None
    assert fetcher.limits == FetchLimits(private=frozenset())


def test_what_is_written_is_what_holds(tmp_path: Path) -> None:
    text = (
        "max_bytes = 5\nmax_total_bytes = 6\nmax_urls = 7\nseconds = 8\nat_a_time = 9\n"
        'private_hosts = ["Store.Internal:9000", "10.0.0.7", "[fd00::1]", "[fd00::1]:81", "minio"]\n'
    )
    fetcher = fetcher_of(load(tmp_path, HEAD + text).fetch)
    assert fetcher is not None
    private = {"store.internal:9000", "10.0.0.7", "[fd00::1]", "[fd00::1]:81", "minio"}
    assert fetcher.limits == FetchLimits(
        private=frozenset(private),
        max_bytes=5,
        max_total_bytes=6,
        max_urls=7,
        seconds=8.0,
        at_a_time=9,
    )


def test_it_can_be_turned_off(tmp_path: Path) -> None:
    assert fetcher_of(load(tmp_path, HEAD + "enabled = false\n").fetch) is None


@pytest.mark.parametrize(
    "host",
    ["", "http://a.test", "a.test/", "a.test:0", "a.test:x", "a b", "*", "10.0.0.0/8", "[::"],
)
def test_what_is_no_host_is_refused(tmp_path: Path, host: str) -> None:
    [problem] = refuse(tmp_path, f'{HEAD}private_hosts = ["{host}"]\n').problems
    assert problem.path == "fetch.private_hosts[0]"
