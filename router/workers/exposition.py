"""Several workers' metrics as one page, in Prometheus' text format.

Every sample gets the label `worker`, and nothing is summed. A counter that starts again at zero in one worker
is something Prometheus knows how to read, while a sum that falls by one worker's share would look like a
restart of everything. Whoever wants the sum asks for `sum without (worker)`.

The format groups the samples of a family under one heading, so the pages are taken apart by their headings
and laid together. Source: https://prometheus.io/docs/instrumenting/exposition_formats/
"""

from collections.abc import Iterable, Mapping

_UP = """\
# HELP syze_worker_up Whether the worker told its metrics in time for this page.
# TYPE syze_worker_up gauge
"""


def merge(pages: Mapping[int, bytes], silent: Iterable[int] = ()) -> bytes:
    """Return one page of what the workers with these numbers told; `silent` are those that did not."""
    families: dict[str, tuple[list[str], list[str]]] = {}
    for index in sorted(pages):
        heading: list[str] = []
        samples: list[str] = []
        for line in pages[index].decode().split("\n"):
            if line.startswith("# HELP "):
                family = line.split(" ", 3)[2]
                heading, samples = families.setdefault(family, ([], []))
                heading[:] = [line]
            elif line.startswith("#"):
                heading.append(line)
            elif line:
                samples.append(_labelled(line, index))
    text = [_UP, *(f'syze_worker_up{{worker="{n}"}} {up}\n' for n, up in _ups(pages, silent))]
    for heading, samples in families.values():
        text += [f"{line}\n" for line in (*heading, *samples)]
    return "".join(text).encode()


def _labelled(sample: str, index: int) -> str:
    """Add the label to one sample. A name ends at the first brace or blank; it can hold neither."""
    name, brace, rest = sample.partition("{")
    if brace and " " not in name:
        return f'{name}{{worker="{index}",{rest}'
    name, _, value = sample.partition(" ")
    return f'{name}{{worker="{index}"}} {value}'


def _ups(pages: Iterable[int], silent: Iterable[int]) -> list[tuple[int, float]]:
    return sorted([*((index, 1.0) for index in pages), *((index, 0.0) for index in silent)])
