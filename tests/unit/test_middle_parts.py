"""The small parts that all dialects share: signatures in ids, arguments, schemas, data URLs."""

import base64

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from adapters.middle.arguments import as_object
from adapters.middle.data_url import data_url, read_data_url
from adapters.middle.schema import object_schema
from adapters.middle.signature import ANTHROPIC, own, owned, split_signature, with_signature


@given(st.text(), st.none() | st.text(min_size=1))
def test_a_signature_survives_in_the_id_of_a_call(call_id: str, signature: str | None) -> None:
    assert split_signature(with_signature(call_id, signature)) == (call_id, signature)


@given(st.from_regex(r"[A-Za-z0-9_-]{1,20}", fullmatch=True), st.text(min_size=1))
def test_an_id_with_a_signature_has_only_signs_that_every_provider_takes(
    call_id: str, signature: str
) -> None:
    made = with_signature(call_id, signature)
    assert set(made) <= set("ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789_-")


def test_an_id_without_a_signature_stays_as_it_is() -> None:
    assert with_signature("call_1", None) == "call_1"
    assert split_signature("call_1") == ("call_1", None)


def test_what_only_looks_like_a_signature_is_part_of_the_id() -> None:
    assert split_signature("a__thought__!!") == ("a__thought__!!", None)


@pytest.mark.parametrize("owner", [ANTHROPIC, "gemini"])
def test_only_its_owner_gets_a_signature_back(owner: str) -> None:
    other = ANTHROPIC if owner == "gemini" else "gemini"
    assert own(owner, owned(owner, "c2ln")) == "c2ln"
    assert own(other, owned(owner, "c2ln")) is None
    assert own(owner, None) is None
    assert own(owner, "") is None


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("", "{}"),
        (" \n", "{}"),
        ('{"a": 1.50}', '{"a": 1.50}'),
        ('{"a":', '{"malformed_arguments":"{\\"a\\":"}'),
        ("[1]", '{"malformed_arguments":"[1]"}'),
        ("null", '{"malformed_arguments":"null"}'),
        ("[" * 100_000, None),
    ],
)
def test_arguments_are_an_object_whatever_was_written(text: str, expected: str | None) -> None:
    made = as_object(text)
    assert isinstance(msgspec.json.decode(made), dict)
    assert expected is None or made == expected


@pytest.mark.parametrize(
    ("schema", "expected"),
    [
        (b"null", b'{"type":"object","properties":{}}'),
        (b"{}", b'{"type":"object","properties":{}}'),
        (b'{"type":"object","$defs":{ }}', b'{"type":"object","$defs":{ }}'),
        (b'{"properties":{"a":{ }}}', b'{"properties":{"a":{ }},"type":"object"}'),
    ],
)
def test_parameters_are_the_schema_of_an_object(schema: bytes, expected: bytes) -> None:
    assert bytes(object_schema(msgspec.Raw(schema))) == expected


@pytest.mark.parametrize("schema", [b'{"type":"string"}', b"[]", b'{"type":["object","null"]}'])
def test_parameters_of_another_kind_are_refused(schema: bytes) -> None:
    with pytest.raises(ValueError, match="object"):
        object_schema(msgspec.Raw(schema))


@given(st.binary())
def test_bytes_survive_in_a_data_url(data: bytes) -> None:
    text = base64.b64encode(data).decode()
    assert read_data_url(data_url("image/png", text)) == ("image/png", text)


@pytest.mark.parametrize(
    ("url", "expected"),
    [
        ("data:image/PNG;charset=x;base64,AA\n AA", ("image/png", "AAAA")),
        ("DATA:;base64,", ("", "")),
        ("data:image/png,AAAA", None),
        ("https://host/data:image/png;base64,AAAA", None),
    ],
)
def test_data_urls_are_read_in_all_their_forms(url: str, expected: object) -> None:
    assert read_data_url(url) == expected
