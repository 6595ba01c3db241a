"""Measurements of the gateway from outside: real processes, real sockets, what the OS says they cost.

Nothing here is imported by the gateway, and of the gateway nothing is imported here but the
simulated provider's pure functions, which tell what a right answer looks like. `python -m bench`
is the way in.
"""
