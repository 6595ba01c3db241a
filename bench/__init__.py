"""Measurements of the gateway from outside: real processes, real sockets, what the OS says they cost.

Nothing here is imported by the gateway. What is imported here of the product is what is not the gateway: the
load generator of `syze bench`; the simulated provider, which tells what a right answer looks like; the
simulation, whose upstreams are played over sockets and whose figures are held against those; and, where a
measurement begins with an account, the store that keeps it. `python -m bench` is the way in.
"""
