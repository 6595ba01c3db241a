"""Google's token service: it trades a service account's signed statement for a token.

Its errors are OAuth's, a word and a sentence. Source: RFC 6749, section 5.2; RFC 7523.
"""

from collections.abc import Callable, Mapping
from typing import Any, Final
from urllib.parse import parse_qs

from router.simulator.behaviour import Behaviour
from router.simulator.circumstances import Circumstances
from router.simulator.counts import SeenRequest
from router.simulator.idiom import Complaint, Idiom
from router.simulator.performance import Headers, Performance
from router.simulator.refusal import Refusal
from router.simulator.vertex.assertion import PublicKey, check_assertion
from router.simulator.vertex.token import LIFETIME_SECONDS, issue
from router.simulator.whole import whole_answer

_PATH: Final = b"/token"
_FORM: Final = b"application/x-www-form-urlencoded"
_GRANT: Final = "urn:ietf:params:oauth:grant-type:jwt-bearer"
_WORDS: Final = {400: "invalid_grant", 401: "invalid_client", 429: "rate_limit_exceeded"}


def error_body(complaint: Complaint) -> dict[str, Any]:
    """The body of an error."""
    if isinstance(complaint.told, dict):
        return complaint.told
    ordinary = "internal_failure" if complaint.status >= 500 else "invalid_request"
    word = complaint.code or _WORDS.get(complaint.status, ordinary)
    return {"error": word, "error_description": complaint.words}


IDIOM: Final = Idiom(error=error_body, malformed=b"{", unknown=b"{}")


class TokenService:
    """Issues tokens to these `accounts`, or to any that asks in the right form if there are none.

    `wall_clock` gives unix seconds.
    """

    idiom = IDIOM

    def __init__(
        self, accounts: Mapping[str, PublicKey], *, wall_clock: Callable[[], float]
    ) -> None:
        self._accounts = accounts
        self._wall_clock = wall_clock

    def is_spoken_in(self, request: SeenRequest) -> bool:
        """Whether the path is that of the token service."""
        return request.target.partition(b"?")[0].endswith(_PATH)

    def names_request(self, name: str) -> Headers:  # noqa: ARG002 - the protocol's
        """No header."""
        return ()

    def check_key(self, request: SeenRequest, keys: frozenset[bytes]) -> None:
        """Nothing: the statement in the body proves who asks."""

    def ordered_behaviour(self, body: bytes) -> Behaviour | None:  # noqa: ARG002 - the protocol's
        """Nothing: only the header can carry an order."""
        return None

    def answer(self, request: SeenRequest, around: Circumstances) -> Performance:
        """Issue a token. Raises Refusal."""
        if request.method != b"POST" or request.header(b"content-type") != _FORM:
            raise Refusal(400, "A form must be posted.", code="invalid_request")
        form = parse_qs(request.body.decode("latin-1"), keep_blank_values=True)
        if form.get("grant_type") != [_GRANT]:
            raise Refusal(400, "Invalid grant_type.", code="unsupported_grant_type")
        [assertion] = form.get("assertion", [""])[:1]
        host = (request.header(b"host") or b"").decode("latin-1")
        now_at = self._wall_clock()
        account = check_assertion(assertion, accounts=self._accounts, host=host, now_at=now_at)
        answer = {
            "access_token": issue(account, now_at=now_at),
            "expires_in": LIFETIME_SECONDS,
            "token_type": "Bearer",
        }
        return whole_answer(
            answer,
            at=around.timing.ready(0),
            idiom=IDIOM,
            behaviour=around.behaviour,
            headers=around.headers,
        )
