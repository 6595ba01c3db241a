"""A load generator: asks any server that speaks OpenAI's API, and tells how the answers came.

It shares no code with the gateway it is mostly pointed at, because a client that read HTTP and event streams
with the server's own parsers would share their mistakes. It costs little, and knows how much: a load
generator that is itself the slow part measures itself. `syze bench` runs it, and the project's own
benchmarks in `bench/` are built on it.
"""
