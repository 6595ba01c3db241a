"""Admission arithmetic: how much a key may still use, and what a request reserves of it.

Everything here is synchronous and takes the time as an argument, so that limits can be tested without a
clock and decided between two checkpoints; the engine for many machines alone waits, for the store they
share. Nothing in this package knows of HTTP.
"""
