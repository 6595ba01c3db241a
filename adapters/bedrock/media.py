"""Images, documents, sounds and films as Converse takes them: by their bytes, or from a bucket of AWS's.

Other addresses it does not open. Each has a format, which its media type tells, or else the end of its name.
A document needs a name of few signs, and no two of a request may have the same; the model reads the name, so
it is the client's where that can be.
"""

import re
from typing import Final
from urllib.parse import urlsplit

from adapters.dialect import BadCall
from adapters.middle.conversation import Media

Json = dict[str, object]

_IMAGES: Final = {"png": "png", "jpeg": "jpeg", "jpg": "jpeg", "gif": "gif", "webp": "webp"}
_DOCUMENTS: Final = {
    "application/pdf": "pdf",
    "text/csv": "csv",
    "application/msword": "doc",
    "application/vnd.openxmlformats-officedocument.wordprocessingml.document": "docx",
    "application/vnd.ms-excel": "xls",
    "application/vnd.openxmlformats-officedocument.spreadsheetml.sheet": "xlsx",
    "text/html": "html",
    "text/plain": "txt",
    "text/markdown": "md",
}
_DOCUMENT_ENDINGS: Final = frozenset(_DOCUMENTS.values())
_FILMS: Final = {
    "matroska": "mkv",
    "x-matroska": "mkv",
    "quicktime": "mov",
    "mp4": "mp4",
    "webm": "webm",
    "x-flv": "flv",
    "mpeg": "mpeg",
    "x-ms-wmv": "wmv",
    "3gpp": "three_gp",
}
_SOUNDS: Final = {
    "mpeg": "mp3",
    "mp3": "mp3",
    "wav": "wav",
    "x-wav": "wav",
    "wave": "wav",
    "flac": "flac",
    "ogg": "ogg",
    "opus": "opus",
    "aac": "aac",
    "mp4": "mp4",
    "m4a": "m4a",
    "x-m4a": "m4a",
    "webm": "webm",
}
_BUCKET: Final = "s3://"
_FOREIGN_IN_NAME: Final = re.compile(r"[^A-Za-z0-9\s()\[\]-]+")
_WHITE: Final = re.compile(r"\s+")
_LONGEST_NAME: Final = 190  # of 200; the rest is for the number of one that comes again


class MediaWriter:
    """Writes the media of one request; it remembers the names that documents have."""

    def __init__(self) -> None:
        self._names: set[str] = set()

    def block(self, media: Media) -> Json:
        """Return a block. Raises `BadCall` for what Converse does not take."""
        group, _, subtype = _type_of(media).partition("/")
        name = subtype or _ending(media)
        if media.kind == "image" or group == "image":
            return {"image": _known(media, _IMAGES.get(name), "see an image")}
        if media.kind == "audio" or group == "audio":
            return {"audio": _known(media, _SOUNDS.get(name), "listen to a sound")}
        if group == "video":
            return {"video": _known(media, _FILMS.get(name), "watch a film")}
        return {"document": self._document(media)}

    def _document(self, media: Media) -> Json:
        found = _DOCUMENTS.get(_type_of(media))
        if found is None and _ending(media) in _DOCUMENT_ENDINGS:
            found = _ending(media)
        if found is None and _type_of(media).startswith("text/"):
            found = "txt"
        return {**_known(media, found, "read a file"), "name": self._name_of(media)}

    def _name_of(self, media: Media) -> str:
        told = (media.name or "").rpartition(".")[0] or media.name or ""
        plain = _WHITE.sub(" ", _FOREIGN_IN_NAME.sub(" ", told)).strip() or "document"
        name, number = plain[:_LONGEST_NAME], 1
        while name in self._names:
            number += 1
            name = f"{plain[:_LONGEST_NAME]} ({number})"
        self._names.add(name)
        return name


def opens_url(url: str) -> bool:
    """Tell whether Converse gets at the bytes behind an address itself."""
    return url.startswith(_BUCKET)


def _known(media: Media, form: str | None, deed: str) -> Json:
    if form is None:
        kind = media.media_type or media.name or media.kind
        raise BadCall(f"This model cannot {deed} of type '{kind[:200]}'.", param="messages")
    return {"format": form, "source": _source(media)}


def _source(media: Media) -> Json:
    if media.data is not None:
        return {"bytes": media.data}
    address = media.url or media.file_id or ""
    if not opens_url(address):
        raise BadCall("This model takes no media by URL; send the bytes.", param="messages")
    return {"s3Location": {"uri": address}}


def _type_of(media: Media) -> str:
    """Return the media type without what may follow it, such as a character set."""
    return (media.media_type or "").partition(";")[0].strip().lower()


def _ending(media: Media) -> str:
    """Return the ending of the name or of the address, without its dot."""
    name = media.name or urlsplit(media.url or "").path
    return name.rpartition(".")[2].lower()
