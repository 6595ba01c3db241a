"""Measurements of the gateway from outside: real processes, real sockets, what the OS says they cost.

Nothing here is imported by the gateway. Of the gateway nothing is imported here but the simulated provider,
which tells what a right answer looks like, and the simulation, whose upstreams are played over sockets and
whose figures are held against those. `python -m bench` is the way in.
"""
