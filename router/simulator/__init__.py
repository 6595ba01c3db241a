"""A simulated provider: a real HTTP/1.1 server in several dialects, with faults on request.

It speaks OpenAI's dialect (the modules here), Anthropic's, Google's in both its services, Bedrock's and
Cohere's (the packages below), each on its own paths, and checks what it receives as strictly as those
services do. None of it needs an optional library: AWS's frames are written and its signatures checked
by hand, and so are the statements of Google's service accounts. One implementation serves the demo,
tests over sockets, tests in virtual time over in-memory streams, and load benches. What it answers is
a function of the request, so everyone can check that it arrived unharmed.
"""

from router.simulator.behaviour import Behaviour
from router.simulator.choices import expected_text, expected_tokens
from router.simulator.counts import SeenRequest
from router.simulator.latency import Latency
from router.simulator.profile import REALISTIC, Profile
from router.simulator.simulator import Simulator
from router.simulator.vertex.assertion import PublicKey

__all__ = [
    "REALISTIC",
    "Behaviour",
    "Latency",
    "Profile",
    "PublicKey",
    "SeenRequest",
    "Simulator",
    "expected_text",
    "expected_tokens",
]
