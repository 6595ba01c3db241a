"""Routing tried out in virtual time, before a provider is paid or a machine is bought.

What decides in the gateway decides here too: policy, health, budget, hedge delay, director, all out of
`router.exchange`. They take `now` as an argument and do no I/O, so they cannot tell. Only the endpoints are
modelled, and the nursery that runs attempts is replaced by a queue of events, for a million requests to take
minutes.
"""
