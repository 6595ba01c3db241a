"""Admission arithmetic: how much a key may still use, and what a request reserves of it.

Everything here is synchronous and takes the time as an argument, so that limits can be tested without a
clock and decided between two checkpoints. Nothing in this package waits, and it knows nothing of HTTP.
It is empty so far: limits are not enforced yet.
"""
