"""Payment providers' webhooks: a notice is proved, and becomes a top-up once.

The operator lists the providers with the secrets that they sign with. All of them speak the scheme of
`SignedNotices`; another one is another `PaymentProvider`, chosen here.
"""

from collections.abc import Callable, Mapping

from router.accounts.errors import nearest
from router.config import PaymentConfig
from router.console.errors import NotThere, translated
from router.console.stores import Stores
from router.ledger.entry import Entry
from router.ledger.errors import PaymentRefused
from router.ledger.payment import PaymentProvider, SignedNotices, TopUp


class Payments:
    """The configured payment providers, by name."""

    def __init__(
        self, configured: Mapping[str, PaymentConfig], *, wall_clock: Callable[[], float]
    ) -> None:
        self._wall_clock = wall_clock
        self._providers: Mapping[str, PaymentProvider] = {
            name: SignedNotices(name, [secret.reveal().encode() for secret in one.secrets])
            for name, one in configured.items()
        }

    def verify(self, name: str, headers: Mapping[str, str], body: bytes) -> TopUp | None:
        """Return the payment that a notice proves, `None` for a genuine notice of something else.

        Raises `NotThere` for a provider that is not configured, `NoticeRefused`.
        """
        provider = self._providers.get(name)
        if provider is None:
            hint = nearest(name, self._providers)
            raise NotThere(f"No payment provider is named {name[:40]!r}{hint}.")
        try:
            return provider.verify(headers, body, now_at=self._wall_clock())
        except PaymentRefused as error:
            raise translated(error) from error

    def book(self, stores: Stores, paid: TopUp) -> Entry:
        """Add the payment to its account's credit; a payment that was told before is not added again."""
        return stores.book.top_up(paid.account, paid.amount, key=paid.key, reference=paid.reference)
