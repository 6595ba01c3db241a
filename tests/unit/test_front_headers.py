"""The headers of every answer: a request id of its own, and CORS for the configured origins."""

import re
from collections.abc import Callable

import pytest

from router.front.headers import CommonHeaders, RequestIds, new_request_id

APP = b"https://app.example"
STRANGER = b"https://stranger.example"


@pytest.mark.parametrize("new", [new_request_id, RequestIds().new], ids=["one", "many"])
def test_request_ids_are_unique_and_of_one_form(new: Callable[[], str]) -> None:
    made = {new() for _ in range(1000)}
    assert len(made) == 1000
    assert all(re.fullmatch(r"req_[0-9a-f]{32}", one) for one in made)


def test_with_a_wildcard_every_origin_may_read_the_answer() -> None:
    headers = dict(CommonHeaders(["*"]).of_answer("req_1", APP))
    assert headers[b"access-control-allow-origin"] == b"*"
    assert b"x-request-id" in headers[b"access-control-expose-headers"]
    assert b"retry-after" in headers[b"access-control-expose-headers"]
    assert b"vary" not in headers


@pytest.mark.parametrize("origins", [["*"], ["https://app.example"], []])
def test_who_sends_no_origin_gets_no_cors(origins: list[str]) -> None:
    headers = dict(CommonHeaders(origins).of_answer("req_1", None))
    assert headers[b"x-request-id"] == b"req_1"
    assert not [name for name in headers if name.startswith(b"access-control")]


def test_with_a_list_only_those_origins_are_allowed_and_each_by_its_name() -> None:
    common = CommonHeaders(["https://app.example", "https://other.example"])
    allowed = dict(common.of_answer("req_1", APP))
    refused = dict(common.of_answer("req_1", STRANGER))
    assert allowed[b"access-control-allow-origin"] == APP
    assert b"access-control-allow-origin" not in refused


@pytest.mark.parametrize("origin", [None, APP, STRANGER])
def test_caches_are_told_that_an_answer_depends_on_the_origin(origin: bytes | None) -> None:
    common = CommonHeaders(["https://app.example"])
    assert (b"vary", b"origin") in common.of_answer("req_1", origin)


def test_a_preflight_is_allowed_what_it_asks_for() -> None:
    asked = dict(CommonHeaders(["*"]).of_preflight(b"authorization, x-stainless-lang"))
    assert asked[b"access-control-allow-headers"] == b"authorization, x-stainless-lang"
    assert asked[b"access-control-allow-methods"] == b"GET, POST, OPTIONS"
    silent = dict(CommonHeaders(["*"]).of_preflight(b""))
    assert silent[b"access-control-allow-headers"] == b"authorization, content-type"
