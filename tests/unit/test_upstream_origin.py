"""A base URL becomes an origin and a prefix, or a sentence about what is wrong with it."""

import pytest

from router.upstream.origin import Origin, parse_base_url


@pytest.mark.parametrize(
    ("url", "origin", "prefix"),
    [
        ("https://api.example.test/v1", Origin("https", "api.example.test", 443), "/v1"),
        ("https://api.example.test/v1/", Origin("https", "api.example.test", 443), "/v1"),
        ("http://localhost:11434", Origin("http", "localhost", 11434), ""),
        ("http://localhost/", Origin("http", "localhost", 80), ""),
        ("HTTP://Vllm_Worker:8000/a/b", Origin("http", "vllm_worker", 8000), "/a/b"),
        ("http://127.0.0.1:1", Origin("http", "127.0.0.1", 1), ""),
        ("https://[::1]:8443/x", Origin("https", "::1", 8443), "/x"),
        ("https://[2001:db8::1]", Origin("https", "2001:db8::1", 443), ""),
        ("https://example.test:/v1", Origin("https", "example.test", 443), "/v1"),
        ("http://a.test/openai%20x//", Origin("http", "a.test", 80), "/openai%20x"),
    ],
)
def test_a_base_url_is_split(url: str, origin: Origin, prefix: str) -> None:
    assert parse_base_url(url) == (origin, prefix)


@pytest.mark.parametrize(
    ("url", "complaint"),
    [
        ("ftp://a.test", "http:// or https://"),
        ("a.test/v1", "http:// or https://"),
        ("localhost:8000", "http:// or https://"),
        ("", "visible ASCII"),
        ("https:///v1", "needs a host"),
        ("https://", "needs a host"),
        ("https://a,b/v1", "needs a host"),
        ("https://me:geheim@a.test", "user name or password"),
        ("https://geheim@a.test", "user name or password"),
        ("https://@a.test", "user name or password"),
        ("https://a.test/v1?key=geheim", "query"),
        ("https://a.test/v1?", "query"),
        ("https://a.test/v1#geheim", "fragment"),
        ("https://a.test:99999", "malformed"),
        ("https://a.test:geheim", "malformed"),
        ("https://a.test:0", "port 0"),
        ("https://[::1", "malformed"),
        ("https://[geheim]/", "malformed"),
        ("https://a.test/v1\n", "visible ASCII"),
        ("https://a.test/v 1", "visible ASCII"),
        ("https://bücher.test", "xn--"),
    ],
)
def test_what_cannot_be_meant_is_refused_without_repeating_it(url: str, complaint: str) -> None:
    with pytest.raises(ValueError, match=complaint) as refused:
        parse_base_url(url)
    assert "geheim" not in str(refused.value)


@pytest.mark.parametrize(
    ("origin", "authority", "text"),
    [
        (Origin("https", "a.test", 443), "a.test", "https://a.test"),
        (Origin("http", "a.test", 443), "a.test:443", "http://a.test:443"),
        (Origin("http", "::1", 80), "[::1]", "http://[::1]"),
        (Origin("https", "::1", 8443), "[::1]:8443", "https://[::1]:8443"),
    ],
)
def test_an_origin_writes_its_authority(origin: Origin, authority: str, text: str) -> None:
    assert (origin.authority, str(origin)) == (authority, text)


def test_equal_origins_are_one_key() -> None:
    assert {parse_base_url("https://A.test:443/x")[0], parse_base_url("https://a.test")[0]} == {
        Origin("https", "a.test", 443)
    }
