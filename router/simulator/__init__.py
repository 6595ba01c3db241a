"""A simulated provider: a real HTTP/1.1 server in the OpenAI dialect, with faults on request.

One implementation serves the demo, tests over sockets, tests in virtual time over in-memory
streams, and load benches. What it answers is a function of the request, so everyone can check that
it arrived unharmed.
"""

from router.simulator.behaviour import Behaviour
from router.simulator.choices import expected_text, expected_tokens
from router.simulator.counts import SeenRequest
from router.simulator.latency import Latency
from router.simulator.profile import REALISTIC, Profile
from router.simulator.simulator import Simulator

__all__ = [
    "REALISTIC",
    "Behaviour",
    "Latency",
    "Profile",
    "SeenRequest",
    "Simulator",
    "expected_text",
    "expected_tokens",
]
