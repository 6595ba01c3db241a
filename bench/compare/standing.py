"""A contestant as a running process, from its start to its first answer, and to its end."""

import http.client
import os
import time
from collections.abc import Collection, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Final

import msgspec

from bench.compare.cache import Cache
from bench.compare.contestant import Contestant, Place, Start
from bench.compare.upstream import Upstream
from bench.cores import running_on
from bench.processes import Service, ending, free_port
from router.loadtest.target import Target

_ASK_EVERY: Final = 0.005
_START_SECONDS: Final = 120.0
_QUESTION: Final = {"messages": [{"role": "user", "content": "Are you there?"}]}


class Standing(msgspec.Struct, frozen=True):
    """It runs. `first_answer` is seconds from the start of its process to its first right answer."""

    service: Service
    target: Target
    first_answer: float


@contextmanager
def standing(
    contestant: Contestant,
    cache: Cache,
    upstream: Upstream,
    folder: Path,
    *,
    cores: Collection[int],
) -> Iterator[Standing]:
    """Run a contestant before an upstream, on some cores.

    Raises NotInstalled, or StandFailed when it does not answer.
    """
    folder.mkdir(parents=True)
    place = Place(folder, free_port(), upstream.target, upstream.certificate)
    start = contestant.start(cache, place)
    begun = time.monotonic()
    with running_on(cores):
        service = Service(
            contestant.name,
            start.command,
            folder / "log",
            environment={**os.environ, **start.environment},
        )
    with ending(service):
        target = service.wait_until(
            lambda: _answering(start), every=_ASK_EVERY, seconds=_START_SECONDS
        )
        yield Standing(service, target, time.monotonic() - begun)


def _answering(start: Start) -> Target | None:
    """Return where it can be asked, once it gives a right answer."""
    target = start.target
    if start.listing is not None:
        listed = start.listing.read_text(encoding="utf-8") if start.listing.exists() else ""
        if not listed:
            return None
        found = Target.of_url(listed, key=target.key, model=target.model)
        target = msgspec.structs.replace(found, headers=target.headers)
    return target if _answers(target) else None


def _answers(target: Target) -> bool:
    connection = http.client.HTTPConnection(target.host, target.port, timeout=5.0)
    body = msgspec.json.encode({**_QUESTION, "model": target.model})
    headers = {"authorization": f"Bearer {target.key}", "content-type": "application/json"}
    try:
        connection.request(
            "POST", f"{target.prefix}/chat/completions", body, {**headers, **dict(target.headers)}
        )
        answer = connection.getresponse()
        return answer.status == 200 and b"choices" in answer.read()
    except (OSError, http.client.HTTPException):
        return False
    finally:
        connection.close()
