"""Whom to ask, in which order, when again, and how often: pure deciders, told the time, asking nobody.

What waits, and carries their answers out, is in `router.exchange`.
"""
