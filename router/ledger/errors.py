"""What the books refuse, each with a sentence for the one who asked.

Failures of the database itself are `router.accounts.errors.StoreError`, and money for nobody is its
`UnknownAccount`.
"""


class LedgerError(Exception):
    """Base of every refusal by the books. Nothing was booked."""


class KeyReused(LedgerError):
    """An idempotency key came again with another amount, account or kind: two things share one name."""

    def __init__(self, key: str) -> None:
        super().__init__(f"the key {key!r} belongs to an entry with other figures")
        self.key = key


class Overdraw(LedgerError):
    """The account has less credit than was to be taken from it."""

    def __init__(self, account: str, *, balance: int, asked: int) -> None:
        super().__init__(f"{account} has {balance} nano-dollars, {asked} were to be taken")
        self.account = account
        self.balance = balance
        self.asked = asked


class CodeRefused(LedgerError):
    """A redeem code cannot be redeemed."""


class CodeUnknown(CodeRefused):
    """No such code was ever made. Which characters are wrong is nobody's business."""

    def __init__(self) -> None:
        super().__init__("there is no such code")


class CodeExpired(CodeRefused):
    """The code's time is over."""

    def __init__(self) -> None:
        super().__init__("the code has expired")


class CodeUsed(CodeRefused):
    """Another account was quicker."""

    def __init__(self) -> None:
        super().__init__("the code has been redeemed by another account")


class PaymentRefused(LedgerError):
    """A payment notice is not believed or not understood; `reason` says which, without quoting it."""
