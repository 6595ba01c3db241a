"""AWS's signature over a request: its published examples, and AWS's own client for the same request."""

import calendar
import re
from datetime import UTC, datetime
from typing import Any

import botocore.auth  # type: ignore[import-untyped]
import botocore.awsrequest  # type: ignore[import-untyped]
import botocore.config  # type: ignore[import-untyped]
import botocore.session  # type: ignore[import-untyped]
import pytest

from adapters.bedrock import extra
from adapters.bedrock.aws_key import AwsKey, read_aws_key, region_of
from adapters.bedrock.extra import MissingExtra, check_extra, make_signer
from adapters.bedrock.signer import Signer
from adapters.dialect import EncodedRequest
from tests.unit.bedrock_wire import CLAUDE, PROFILE, UPSTREAM, target
from tests.unit.gemini_wire import conversation

NOW = (2015, 8, 30, 12, 36, 0)
NOW_AT = float(calendar.timegm(NOW))
SECRET = "wJalrXUtnFEMI/K7MDENG+bPxRfiCYEXAMPLEKEY"
TOKEN = (
    "AQoDYXdzEPT//////////wEXAMPLEtc764bNrC9SAPBSM22wDOk4x4HIZ8j4FZTwdQWLWsKWHGBuFqwAeMicRXmxfpSPfIeo"
    "IYRqTflfKD8YUuwthAx7mSEI/qkPpKPi/kMcGdQrmGdeehM4IC1NtBmUpp2wUE8phUZampKsburEDy0KPkyQDYwT7WZ0wq5V"
    "SXDvp75YU9HFvlRd8Tx6q6fE8YQcHNVXAkiY9q6d+xo0rKwT38xVqr7ZD0u0iPPkUL64lIZbqBAz+scqKmlzm8FDrypNC9Yj"
    "c8fPOLn9FX9KSYvKTr4rvx3iSIlTJabIQwj2ICCR/oLxBA=="
)
ORIGIN = "https://bedrock-runtime.eu-west-1.amazonaws.com"


def headers_of(request: EncodedRequest) -> dict[str, str]:
    found = {name.decode(): value.decode() for name, value in request.headers}
    assert len(found) == len(request.headers), "a header comes twice"
    return found


# From AWS's "Signature Version 4 Test Suite": those of its examples that are a POST.
@pytest.mark.parametrize(
    ("headers", "body", "token", "names", "signature"),
    [
        (
            [],
            b"",
            None,
            "host;x-amz-date",
            "5da7c1a2acd57cee7505fc6676e4e544621c30862966e37dddb68e92efbe5d6b",
        ),
        (
            [(b"content-type", b"application/x-www-form-urlencoded")],
            b"Param1=value1",
            None,
            "content-type;host;x-amz-date",
            "ff11897932ad3f4e8b18135d722051e5ac45fc38421b1da7b9d196a0fe09473a",
        ),
        (
            [],
            b"",
            TOKEN,
            "host;x-amz-date;x-amz-security-token",
            "85d96828115b5dc0cfc3bd16ad9e210dd772bbebba041836c64533a82be05ead",
        ),
    ],
    ids=["vanilla", "form", "session"],
)
def test_aws_published_examples_are_signed_alike(
    headers: list[tuple[bytes, bytes]],
    body: bytes,
    token: str | None,
    names: str,
    signature: str,
) -> None:
    signer = Signer(
        AwsKey("AKIDEXAMPLE", SECRET, token),
        region="us-east-1",
        origin="https://example.amazonaws.com",
        clock=lambda: NOW_AT,
        service="service",
    )
    signed = headers_of(signer(EncodedRequest(b"/", headers, body)))
    assert signed["authorization"] == (
        "AWS4-HMAC-SHA256 Credential=AKIDEXAMPLE/20150830/us-east-1/service/aws4_request, "
        f"SignedHeaders={names}, Signature={signature}"
    )
    assert signed["x-amz-date"] == "20150830T123600Z"
    assert signed.get("x-amz-security-token") == token


class Captured(Exception):
    def __init__(self, request: Any) -> None:
        super().__init__()
        self.request = request


def aws_clients_request(model: str, monkeypatch: pytest.MonkeyPatch, token: str | None) -> Any:
    """What AWS's own client would send for a plain question to a model, signed at the same time."""
    monkeypatch.setattr(botocore.auth, "get_current_datetime", lambda: datetime(*NOW, tzinfo=UTC))
    monkeypatch.delenv("AWS_BEARER_TOKEN_BEDROCK", raising=False)
    client = botocore.session.get_session().create_client(
        "bedrock-runtime",
        region_name="eu-west-1",
        aws_access_key_id="AKIDEXAMPLE",
        aws_secret_access_key=SECRET,
        aws_session_token=token,
        config=botocore.config.Config(retries={"total_max_attempts": 1}),
    )

    def capture(request: Any, **_: Any) -> None:
        raise Captured(request)

    client.meta.events.register("before-send.bedrock-runtime.Converse", capture)
    with pytest.raises(Captured) as caught:
        client.converse(modelId=model, messages=[{"role": "user", "content": [{"text": "Hi"}]}])
    return caught.value.request


@pytest.mark.parametrize("token", [None, TOKEN])
@pytest.mark.parametrize("model", [CLAUDE, PROFILE])
def test_a_request_is_signed_as_aws_own_client_signs_it(
    model: str, token: str | None, monkeypatch: pytest.MonkeyPatch
) -> None:
    theirs = aws_clients_request(model, monkeypatch, token)
    signer = make_signer(
        AwsKey("AKIDEXAMPLE", SECRET, token),
        region="eu-west-1",
        origin=ORIGIN,
        clock=lambda: NOW_AT,
    )
    path = UPSTREAM.encode(conversation(), target(model), stream=False).target
    assert theirs.url == ORIGIN + path.decode()
    ours = headers_of(
        signer(EncodedRequest(path, [(b"content-type", b"application/json")], theirs.body))
    )
    assert ours["authorization"] == botocore_alone(theirs)
    assert ours.get("x-amz-security-token") == token


def botocore_alone(theirs: Any) -> str:
    """Their signature over those headers only that ours covers: their client adds some of its own."""
    request = botocore.awsrequest.AWSRequest("POST", theirs.url, data=theirs.body)
    request.headers["content-type"] = "application/json"
    token = theirs.headers.get("X-Amz-Security-Token")
    key = AwsKey("AKIDEXAMPLE", SECRET, token.decode() if isinstance(token, bytes) else token)
    botocore.auth.SigV4Auth(key, "bedrock", "eu-west-1").add_auth(request)
    found: str = request.headers["Authorization"]
    named = re.search(r"Credential=([^,]+)", found)
    said = theirs.headers["Authorization"]
    assert named is not None
    assert named[1] in (said.decode() if isinstance(said, bytes) else said)
    return found


def signer_at(clock: list[float]) -> Signer:
    return make_signer(
        AwsKey("AKIDEXAMPLE", SECRET), region="eu-west-1", origin=ORIGIN, clock=lambda: clock[0]
    )


def test_the_upstream_signs_what_it_encodes_by_the_targets_signer() -> None:
    signer = signer_at([NOW_AT])
    plain_target = target(CLAUDE, headers=[(b"content-type", b"application/json")])
    plain = UPSTREAM.encode(conversation(), plain_target, stream=True)
    signed_target = target(CLAUDE, headers=plain_target.headers, sign=signer)
    assert UPSTREAM.encode(conversation(), signed_target, stream=True) == signer(plain)
    assert "authorization" not in headers_of(plain)


def test_a_signature_is_of_its_time_body_and_path() -> None:
    clock = [NOW_AT]
    signer = signer_at(clock)
    first = headers_of(signer(EncodedRequest(b"/a", [], b"x")))
    assert headers_of(signer(EncodedRequest(b"/a", [], b"x"))) == first
    other = [
        headers_of(signer(EncodedRequest(b"/a", [], b"y"))),
        headers_of(signer(EncodedRequest(b"/b", [], b"x"))),
    ]
    clock[0] += 60
    other.append(headers_of(signer(EncodedRequest(b"/a", [], b"x"))))
    assert len({found["authorization"] for found in [first, *other]}) == 4


def test_headers_that_a_transport_may_change_are_not_signed() -> None:
    request = EncodedRequest(b"/", [(b"user-agent", b"one"), (b"x-other", b"1")], b"x")
    signed = headers_of(signer_at([NOW_AT])(request))
    assert "SignedHeaders=host;x-amz-date," in signed["authorization"]
    assert signed["user-agent"] == "one"


@pytest.mark.parametrize(
    ("text", "key"),
    [
        ("AKIAIOSFODNN7EXAMPLE:abc/+=", AwsKey("AKIAIOSFODNN7EXAMPLE", "abc/+=")),
        (" ASIAIOSFODNN7EXAMPLE:abc:tok==\n", AwsKey("ASIAIOSFODNN7EXAMPLE", "abc", "tok==")),
        ("AKIAIOSFODNN7EXAMPLE", None),
        ("AKIAIOSFODNN7EXAMPLE:", None),
        ("ABSKQmVkcm9ja0FQSUtleS0x", None),
        ("bedrock-api-key-YmVkcm9jaw==", None),
        ("user:password", None),
        ("", None),
    ],
)
def test_an_access_key_is_told_from_a_bearer_token(text: str, key: AwsKey | None) -> None:
    assert read_aws_key(text) == key


def test_no_text_made_of_a_key_or_a_signer_holds_a_secret() -> None:
    key = AwsKey("AKIAIOSFODNN7EXAMPLE", "hidden-1", "hidden-2")
    signer = make_signer(key, region="r", origin=ORIGIN, clock=lambda: 0.0)
    assert "hidden" not in f"{key!r} {key} {signer!r} {signer}"


@pytest.mark.parametrize(
    ("host", "region"),
    [
        ("bedrock-runtime.us-east-1.amazonaws.com", "us-east-1"),
        ("bedrock-runtime-fips.us-gov-west-1.amazonaws.com", "us-gov-west-1"),
        ("bedrock-runtime.cn-north-1.amazonaws.com.cn", "cn-north-1"),
        ("vpce-0a1b.bedrock-runtime.eu-central-1.vpce.amazonaws.com", "eu-central-1"),
        ("127.0.0.1", None),
        ("gateway.example.com", None),
    ],
)
def test_a_host_tells_its_region(host: str, region: str | None) -> None:
    assert region_of(host) == region


def test_without_botocore_the_error_says_what_to_install(monkeypatch: pytest.MonkeyPatch) -> None:
    check_extra()
    monkeypatch.setattr(extra, "_LIBRARY", "no_such_library_at_all")
    with pytest.raises(MissingExtra, match=r"pip install 'syzeai\[bedrock\]'"):
        check_extra()
    with pytest.raises(MissingExtra):
        UPSTREAM.event_source(conversation())
    with pytest.raises(MissingExtra):
        signer_at([NOW_AT])
