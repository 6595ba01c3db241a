"""Which addresses are public, which URLs mean one thing only, and what a file is by its bytes."""

from ipaddress import IPv4Address, IPv6Address, ip_address

import pytest
from hypothesis import given
from hypothesis import strategies as st

from router.upstream.checked_url import CheckedUrl, UnsafeUrl, check_redirect, check_url
from router.upstream.media_type import sniff
from router.upstream.origin import Origin
from router.upstream.public_address import Address, address_is_public

CLOSED = [
    "0.0.0.0",
    "0.1.2.3",
    "10.0.0.1",
    "10.255.255.255",
    "100.64.0.1",
    "100.100.100.200",
    "100.127.255.255",
    "127.0.0.1",
    "127.255.255.254",
    "168.63.129.16",
    "169.254.0.1",
    "169.254.169.254",
    "169.254.170.2",
    "172.16.0.1",
    "172.31.255.255",
    "192.0.0.1",
    "192.0.0.192",
    "192.0.2.1",
    "192.88.99.1",
    "192.168.0.1",
    "192.168.255.255",
    "198.18.0.1",
    "198.19.255.255",
    "198.51.100.1",
    "203.0.113.1",
    "224.0.0.1",
    "239.255.255.255",
    "240.0.0.1",
    "255.255.255.255",
    "::",
    "::1",
    "fe80::1",
    "fe80::1%1",
    "2606:4700::1111%1",
    "febf::1",
    "fec0::1",
    "fc00::1",
    "fd00:ec2::254",
    "ff02::1",
    "ff0e::1",
    "100::1",
    "2001::1",
    "2001:2::1",
    "2001:10::1",
    "2001:20::1",
    "2001:db8::1",
    "3fff::1",
    "5f00::1",
    "::127.0.0.1",
    "::a9fe:a9fe",
    "::8.8.8.8",
    "::ffff:127.0.0.1",
    "::ffff:169.254.169.254",
    "::ffff:10.0.0.1",
    "::ffff:0:127.0.0.1",
    "2002:7f00:1::",
    "2002:a9fe:a9fe::1",
    "2002:808:808::1",
    "64:ff9b::127.0.0.1",
    "64:ff9b::a9fe:a9fe",
    "64:ff9b::192.168.0.1",
    "64:ff9b:1::8.8.8.8",
    "2001:0:7f00:1::1",
    "4000::1",
]
OPEN = [
    "1.1.1.1",
    "8.8.8.8",
    "9.255.255.255",
    "11.0.0.0",
    "100.63.255.255",
    "100.128.0.0",
    "126.255.255.255",
    "128.0.0.1",
    "168.63.129.15",
    "172.15.255.255",
    "172.32.0.0",
    "192.167.255.255",
    "198.17.255.255",
    "198.20.0.0",
    "223.255.255.255",
    "2606:4700:4700::1111",
    "2a00:1450::1",
    "2001:4860:4860::8888",
    "::ffff:8.8.8.8",
    "64:ff9b::8.8.8.8",
]
SECRET = "s3cret"


@pytest.mark.parametrize("address", CLOSED)
def test_an_address_that_is_not_public_is_known_as_such(address: str) -> None:
    assert not address_is_public(ip_address(address))


@pytest.mark.parametrize("address", OPEN)
def test_a_public_address_is_known_as_such(address: str) -> None:
    assert address_is_public(ip_address(address))


@given(st.ip_addresses())
def test_no_address_is_public_that_the_standard_library_calls_otherwise(address: Address) -> None:
    if not address_is_public(address):
        return
    if isinstance(address, IPv6Address) and not 0x2000 <= int(address) >> 112 < 0x4000:
        address = IPv4Address(address.packed[-4:])  # which it wraps
    assert address.is_global
    assert not address.is_multicast


@given(st.ip_addresses(v=4))
def test_an_address_is_no_more_public_for_being_wrapped(address: IPv4Address) -> None:
    bits = int(address)
    for prefix in (0xFFFF << 32, 0x64FF9B << 96):
        assert address_is_public(IPv6Address(prefix | bits)) == address_is_public(address)
    for prefix in (0, 0x64FF9B << 96 | 1 << 80, 0x20010000 << 96):
        assert not address_is_public(IPv6Address(prefix | bits))
    assert not address_is_public(IPv6Address(0x2002 << 112 | bits << 80))


@pytest.mark.parametrize(
    ("url", "origin", "target"),
    [
        ("https://a.test/b.png", Origin("https", "a.test", 443), b"/b.png"),
        ("http://a.test", Origin("http", "a.test", 80), b"/"),
        ("HTTPS://A.Test:443/B?c=%2F&d#e", Origin("https", "a.test", 443), b"/B?c=%2F&d"),
        ("http://a.test:443/", Origin("http", "a.test", 443), b"/"),
        ("https://xn--bcher-kva.test/x", Origin("https", "xn--bcher-kva.test", 443), b"/x"),
        ("https://a_b.c-d.test/@x:y", Origin("https", "a_b.c-d.test", 443), b"/@x:y"),
        ("https://1.a2.test?x", Origin("https", "1.a2.test", 443), b"/?x"),
    ],
)
def test_a_url_is_taken_apart(url: str, origin: Origin, target: bytes) -> None:
    assert check_url(url) == CheckedUrl(origin, target)


@pytest.mark.parametrize(
    ("url", "host"),
    [
        ("http://8.8.8.8/", "8.8.8.8"),
        ("http://[2606:4700:0::1111]/", "2606:4700::1111"),
        ("http://127.0.0.1/", "127.0.0.1"),
        ("http://[::FFFF:7f00:1]/", "::ffff:7f00:1"),
    ],
)
def test_an_address_in_a_url_needs_no_resolver(url: str, host: str) -> None:
    found = check_url(url)
    assert found.address == ip_address(host)
    assert ip_address(found.origin.host) == found.address


HOSTILE = [
    # numbers that some programs read as addresses
    "http://2130706433/",
    "http://2852039166/latest/meta-data/",
    "http://0x7f000001/",
    "http://0x7f.0x0.0x0.0x1/",
    "http://0xA9FEA9FE/",
    "http://0177.0.0.1/",
    "http://0251.0376.0251.0376/",
    "http://017700000001/",
    "http://127.1/",
    "http://127.0.1/",
    "http://0/",
    "http://127.0.0.01/",
    "http://127.0.0.1.1/",
    "http://256.256.256.256/",
    "http://a.test.0x7f/",
    "http://4294967297/",
    # odd characters
    "http://127。0。0。1/",
    "http://①②⑦.⓪.⓪.①/",
    "http://bücher.test/",
    "http://%31%32%37.0.0.1/",
    "http://a.test\\@127.0.0.1/",
    "http://a.test\\.b.test/",
    "http://a.test/\r\nx: y",
    "http://a.test/ b",
    "http://a.test\t/",
    "\x00http://a.test/",
    "http:///a.test/",
    "http:/a.test/",
    "http:a.test",
    "//a.test/",
    "a.test/b.png",
    "",
    # names at home
    "http://localhost/",
    "http://LOCALHOST/",
    "http://x.localhost/",
    "http://localhost.localdomain/",
    "http://metadata/",
    "http://metadata.google.internal/computeMetadata/v1/",
    "http://printer.local/",
    "http://box.home.arpa/",
    # trailing and doubled dots
    "http://localhost./",
    "http://127.0.0.1./",
    "http://169.254.169.254./",
    "http://a.test./",
    "http://a..test/",
    "http://.a.test/",
    "http://-a.test/",
    # credentials
    f"http://user:{SECRET}@a.test/",
    "http://a.test@127.0.0.1/",
    "http://a.test:80@127.0.0.1/",
    "http://@a.test/",
    # ports
    "http://a.test:22/",
    "http://a.test:6379/",
    "http://a.test:8080/",
    "http://a.test:0/",
    "http://a.test:080/",
    "http://a.test:65616/",
    "http://a.test:99999/",
    "http://a.test:-80/",
    "http://a.test:/",
    "http://a.test:80:80/",
    "http://[::1]x:80/",
    # IPv6 that is none, or names a link
    "http://[::1/",
    "http://[127.0.0.1]/",
    "http://[fe80::1%25eth0]/",
    "http://[fe80::1%eth0]/",
    "http://[::1]:22/",
    "http://[v1.x]/",
    "http://[]/",
    # schemes
    "file:///etc/passwd",
    "ftp://a.test/",
    "gopher://a.test/",
    "data:image/png;base64,AA==",
    "javascript:alert(1)",
    "dict://a.test:443/",
    "https+unix://a.test/",
    # sizes
    "http://a.test/" + "a" * 9000,
    "http://" + "a" * 64 + ".test/",
    "http://" + "a." * 140 + "test/",
]


@pytest.mark.parametrize("url", HOSTILE)
def test_a_hostile_url_is_refused(url: str) -> None:
    with pytest.raises(UnsafeUrl) as refused:
        check_url(url)
    assert SECRET not in str(refused.value)


def test_other_ports_must_be_named() -> None:
    assert check_url("http://a.test:8080/", ports={8080}).origin.port == 8080
    with pytest.raises(UnsafeUrl, match="port 443"):
        check_url("https://a.test/", ports={8080})


@pytest.mark.parametrize(
    ("url", "location", "wanted"),
    [
        ("https://a.test/b/c?d", "e", "https://a.test/b/e"),
        ("https://a.test/b", "/e?f#g", "https://a.test/e?f"),
        ("https://a.test/b", "//b.test/e", "https://b.test/e"),
        ("http://a.test/b", "https://b.test/e", "https://b.test/e"),
        ("http://[2606:4700::1]/b", "c", "http://[2606:4700::1]/c"),
    ],
)
def test_a_redirect_is_followed_as_a_browser_would(url: str, location: str, wanted: str) -> None:
    assert check_redirect(check_url(url), location) == check_url(wanted)


@pytest.mark.parametrize(
    "location",
    [
        "http://b.test/",
        "http://127.1/",
        "https://u:p@b.test/",
        "//localhost/",
        "https://b.test:8443/",
        "file:///etc/passwd",
        "https://[::1/",
        "\\\\b.test",
        "https://b.test/\x80",
    ],
)
def test_a_redirect_is_checked_as_a_url_and_never_leaves_tls(location: str) -> None:
    with pytest.raises(UnsafeUrl):
        check_redirect(check_url("https://a.test/"), location)


@pytest.mark.parametrize(
    ("data", "media_type"),
    [
        (b"\x89PNG\r\n\x1a\n....", "image/png"),
        (b"\xff\xd8\xff\xe0..JFIF", "image/jpeg"),
        (b"GIF87a..", "image/gif"),
        (b"GIF89a..", "image/gif"),
        (b"RIFF\x10\x00\x00\x00WEBPVP8 ", "image/webp"),
        (b"%PDF-1.7\n", "application/pdf"),
        (b"RIFF\x10\x00\x00\x00WAVEfmt ", None),
        (b"<svg xmlns=", None),
        (b"<!doctype html>", None),
        (b" \x89PNG\r\n\x1a\n", None),
        (b"PNG", None),
        (b"", None),
    ],
)
def test_a_file_is_what_its_first_bytes_say(data: bytes, media_type: str | None) -> None:
    assert sniff(data) == media_type
