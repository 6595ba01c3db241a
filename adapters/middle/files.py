"""Media by URL, for providers that want their bytes.

Which URLs a provider opens itself is for its dialect to say. The others are named, so that whoever has a
network may fetch them, and what was found is put in their place. Nothing is fetched here.
"""

from collections.abc import Callable, Iterator, Mapping

import msgspec

from adapters.dialect import File
from adapters.middle.conversation import Conversation, Media, Part, Text, ToolResult, Turn

Opens = Callable[[Media], bool]


def unopened(conversation: Conversation, opens: Opens) -> list[str]:
    """Return the URLs that the provider does not open itself, each once."""
    found = (medium for turn in conversation.turns for medium in _media(turn.parts))
    urls = (medium.url for medium in found if medium.url is not None and not opens(medium))
    return list(dict.fromkeys(urls))


def with_files(conversation: Conversation, files: Mapping[str, File], opens: Opens) -> Conversation:
    """Return the conversation with the bytes of `files` in place of the URLs that are not opened."""

    def filled(medium: Media) -> Media:
        file = None if medium.url is None or opens(medium) else files.get(medium.url)
        if file is None:
            return medium
        return msgspec.structs.replace(medium, url=None, data=file.data, media_type=file.media_type)

    turns = tuple(
        Turn(turn.role, tuple(_filled(part, filled) for part in turn.parts))
        for turn in conversation.turns
    )
    return msgspec.structs.replace(conversation, turns=turns)


def _media(parts: tuple[Part, ...]) -> Iterator[Media]:
    for part in parts:
        if isinstance(part, Media):
            yield part
        elif isinstance(part, ToolResult):
            yield from (inner for inner in part.parts if isinstance(inner, Media))


def _filled(part: Part, filled: Callable[[Media], Media]) -> Part:
    if isinstance(part, Media):
        return filled(part)
    if not isinstance(part, ToolResult):
        return part
    inner: tuple[Text | Media, ...] = tuple(
        filled(one) if isinstance(one, Media) else one for one in part.parts
    )
    return msgspec.structs.replace(part, parts=inner)
