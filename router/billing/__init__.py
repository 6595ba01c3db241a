"""Billing: where a request meets money.

`router.ledger` knows prices, books and journals; `router.exchange` knows what a request used. Here the two
are joined: what must be held before a request may start, how far its credit carries it, and the settlement
that is written down before its client hears of the end.
"""
