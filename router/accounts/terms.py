"""What may be stored: names that can be shown, limits that can be kept, ends that are still to come.

The checks stand in front of the database, so the command line and every other way in are refused
alike, with the same words.
"""

from typing import Final

from limiter.demand import Limits
from router.accounts.errors import InvalidName, InvalidTerms
from router.accounts.keys import PREFIX, SCOPES, KeyTerms
from router.accounts.schema import MAX_NAME_LENGTH
from router.accounts.tier import ModelPatterns

# Far beyond any use, and far below what a signed word of 64 bits can count.
MOST: Final = 10**15
MOST_PATTERNS: Final = 1000
MOST_NANODOLLARS: Final = 2**62


def check_name(name: str, what: str, *, refusal: type[InvalidName] = InvalidName) -> None:
    """Refuse a name that cannot be shown. `what` is whose, such as `a key`. Raises `refusal`."""
    if not name.strip():
        raise refusal(f"{what} needs a name")
    if len(name) > MAX_NAME_LENGTH:
        raise refusal(f"{what}'s name has at most {MAX_NAME_LENGTH} characters")
    if not name.isprintable():
        raise refusal(f"{what}'s name has printable characters only")
    if PREFIX in name:
        # Names are stored and shown in clear; a secret pasted in the wrong place must not be.
        raise refusal(f"{what}'s name must not contain {PREFIX!r}, as a key does")


def check_limits(limits: Limits) -> None:
    """Refuse limits that are no positive numbers. Raises InvalidTerms."""
    for what, limit in (
        ("requests per minute", limits.requests),
        ("tokens per minute", limits.tokens),
        ("concurrency", limits.concurrency),
    ):
        if limit is not None and not 1 <= limit <= MOST:
            raise InvalidTerms(f"a limit of {what} is a whole number from 1 to {MOST}, or none")


def check_key_terms(terms: KeyTerms, *, now: float) -> None:
    """Refuse terms on which no key could be used; `now` is in unix seconds. Raises InvalidTerms."""
    check_limits(terms.limits)
    budget = terms.budget_nanodollars
    if budget is not None and not 0 <= budget <= MOST_NANODOLLARS:
        raise InvalidTerms(f"a budget is from 0 to {MOST_NANODOLLARS // 10**9} dollars, or none")
    # Written this way round, so that a number that is none is refused as well.
    if terms.expires_at is not None and not now < terms.expires_at < MOST:
        raise InvalidTerms("a key cannot end in the past; to stop one, revoke it")
    if terms.scopes is not None:
        unknown = [scope for scope in terms.scopes if scope not in SCOPES]
        if unknown or not terms.scopes:
            raise InvalidTerms(f"the scopes of a key are of {', '.join(SCOPES)}; at least one")


def check_patterns(models: ModelPatterns) -> None:
    """Refuse patterns that no model's id could match. Raises InvalidTerms."""
    if not 1 <= len(models.globs) <= MOST_PATTERNS:
        raise InvalidTerms(f"a tier has from 1 to {MOST_PATTERNS} patterns of models; '*' is all")
    for glob in models.globs:
        if not glob or len(glob) > 200 or not glob.isprintable() or glob != glob.strip():
            raise InvalidTerms(
                f"{glob[:200]!r} is no pattern of models; 'openai/*' is one, and so is a model's id"
            )
