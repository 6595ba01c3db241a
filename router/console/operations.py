"""The table of everything that can be done over HTTP, for operators and for the owners of keys."""

from typing import Final

from router.console import accounts, codes, credit, keys, owner, tiers, usage
from router.console.fields import Listing
from router.console.operation import Operation

_ADMIN: Final = "/admin/v1"
_ACCOUNT: Final = f"{_ADMIN}/accounts/{{account}}"
_TIER: Final = f"{_ADMIN}/tiers/{{tier}}"
_KEY: Final = f"{_ADMIN}/keys/{{key}}"

ACCOUNTS: Final = (
    Operation(
        method="GET",
        path=f"{_ADMIN}/accounts",
        summary="List the accounts",
        handle=accounts.list_accounts,
        query=accounts.AccountQuery,
        answer=Listing[accounts.AccountInfo],
    ),
    Operation(
        method="POST",
        path=f"{_ADMIN}/accounts",
        summary="Open an account",
        handle=accounts.open_account,
        body=accounts.AccountNew,
        answer=accounts.AccountInfo,
        status=201,
    ),
    Operation(
        method="GET",
        path=_ACCOUNT,
        summary="Show an account",
        handle=accounts.show_account,
        answer=accounts.AccountInfo,
    ),
    Operation(
        method="PATCH",
        path=_ACCOUNT,
        summary="Change an account",
        handle=accounts.change_account,
        body=accounts.AccountChange,
        answer=accounts.AccountInfo,
    ),
    Operation(
        method="POST",
        path=f"{_ACCOUNT}/close",
        summary="Close an account for good",
        handle=accounts.close_account,
        answer=accounts.AccountInfo,
    ),
)

TIERS: Final = (
    Operation(
        method="GET",
        path=f"{_ADMIN}/tiers",
        summary="List the tiers",
        handle=tiers.list_tiers,
        answer=Listing[tiers.TierInfo],
    ),
    Operation(
        method="POST",
        path=f"{_ADMIN}/tiers",
        summary="Create a tier",
        handle=tiers.create_tier,
        body=tiers.TierInfo,
        answer=tiers.TierInfo,
        status=201,
    ),
    Operation(
        method="PATCH",
        path=_TIER,
        summary="Change a tier",
        handle=tiers.change_tier,
        body=tiers.TierChange,
        answer=tiers.TierInfo,
    ),
    Operation(
        method="DELETE",
        path=_TIER,
        summary="Delete a tier that no account is in",
        handle=tiers.delete_tier,
        answer=tiers.TierInfo,
    ),
)

KEYS: Final = (
    Operation(
        method="GET",
        path=f"{_ADMIN}/keys",
        summary="List the API keys",
        handle=keys.list_keys,
        query=keys.KeyQuery,
        answer=Listing[keys.KeyInfo],
    ),
    Operation(
        method="POST",
        path=f"{_ADMIN}/keys",
        summary="Create an API key; its secret is in this answer only",
        handle=keys.create_key,
        body=keys.KeyNew,
        answer=keys.KeyCreated,
        status=201,
    ),
    Operation(
        method="PATCH",
        path=_KEY,
        summary="Change an API key, named by id, name or hint",
        handle=keys.change_key,
        body=keys.KeyChange,
        answer=keys.KeyInfo,
    ),
    Operation(
        method="POST",
        path=f"{_KEY}/revoke",
        summary="Revoke an API key, named by id, name or hint",
        handle=keys.revoke_key,
        answer=keys.KeyInfo,
    ),
)

MONEY: Final = (
    Operation(
        method="GET",
        path=f"{_ACCOUNT}/credit",
        summary="Show an account's credit",
        handle=credit.show_credit,
        answer=credit.Credit,
    ),
    Operation(
        method="POST",
        path=f"{_ACCOUNT}/credit/top-up",
        summary="Add credit that was paid for",
        handle=credit.top_up,
        body=credit.Movement,
        answer=credit.LedgerEntry,
        idempotent=True,
    ),
    Operation(
        method="POST",
        path=f"{_ACCOUNT}/credit/refund",
        summary="Give back what was charged",
        handle=credit.refund,
        body=credit.Movement,
        answer=credit.LedgerEntry,
        idempotent=True,
    ),
    Operation(
        method="POST",
        path=f"{_ACCOUNT}/credit/adjust",
        summary="Add credit or, with a negative amount, take it",
        handle=credit.adjust,
        body=credit.Movement,
        answer=credit.LedgerEntry,
        idempotent=True,
    ),
    Operation(
        method="GET",
        path=f"{_ACCOUNT}/ledger",
        summary="List an account's entries, newest first",
        handle=credit.list_entries,
        query=credit.LedgerQuery,
        answer=Listing[credit.LedgerEntry],
    ),
    Operation(
        method="GET",
        path=f"{_ADMIN}/ledger/verify",
        summary="Prove the books",
        handle=credit.verify,
        answer=credit.VerificationInfo,
    ),
    Operation(
        method="GET",
        path=f"{_ADMIN}/codes",
        summary="List the redeem codes",
        handle=codes.list_codes,
        answer=Listing[codes.CodeInfo],
    ),
    Operation(
        method="POST",
        path=f"{_ADMIN}/codes",
        summary="Create a redeem code; its text is in this answer only",
        handle=codes.create_code,
        body=codes.CodeNew,
        answer=codes.CodeCreated,
        status=201,
    ),
    Operation(
        method="POST",
        path=f"{_ADMIN}/codes/redeem",
        summary="Turn a redeem code into an account's credit",
        handle=codes.redeem_code,
        body=codes.Redemption,
        answer=credit.LedgerEntry,
    ),
)

REPORTS: Final = (
    Operation(
        method="GET",
        path=f"{_ADMIN}/usage",
        summary="Show what was used",
        handle=usage.show_usage,
        query=usage.UsageQuery,
        answer=Listing[usage.UsageLine],
    ),
    Operation(
        method="GET",
        path=f"{_ADMIN}/operator/costs",
        summary="Show what lost hedges, failed attempts and second readings cost the operator",
        handle=usage.show_costs,
        query=usage.UsageQuery,
        answer=usage.OperatorCosts,
    ),
)

OWNERS: Final = (
    Operation(
        method="GET",
        path="/v1/usage",
        summary="Show what the key or its account used, and the credit that is left",
        handle=owner.show_own_usage,
        query=owner.OwnUsageQuery,
        answer=owner.OwnUsage,
        scope="usage",
    ),
    Operation(
        method="POST",
        path="/v1/credit/redeem",
        summary="Turn a redeem code into credit of the key's account",
        handle=owner.redeem_own_code,
        body=owner.CodeText,
        answer=owner.Redeemed,
        scope="usage",
    ),
)

ADMIN: Final = (*ACCOUNTS, *TIERS, *KEYS, *MONEY, *REPORTS)
EVERY: Final = (*ADMIN, *OWNERS)
