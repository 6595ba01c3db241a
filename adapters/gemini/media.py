"""Images, sounds and files as Gemini takes them: their bytes, or an address that it opens itself.

It takes addresses of its own stores always (`gs://`, its file service), any other only in newer models. Each
needs a media type, which the name at the end of an address mostly tells.
"""

from typing import Final, Literal
from urllib.parse import urlsplit

from adapters.dialect import BadCall
from adapters.gemini.model import Traits
from adapters.middle.conversation import Media

_FILES: Final = "https://generativelanguage.googleapis.com/v1beta/"
_OWN: Final = ("gs://", _FILES)

_TYPES: Final = {
    "jpg": "image/jpeg",
    "jpeg": "image/jpeg",
    "png": "image/png",
    "gif": "image/gif",
    "webp": "image/webp",
    "heic": "image/heic",
    "heif": "image/heif",
    "bmp": "image/bmp",
    "mp3": "audio/mpeg",
    "wav": "audio/wav",
    "flac": "audio/flac",
    "ogg": "audio/ogg",
    "aac": "audio/aac",
    "m4a": "audio/mp4",
    "mp4": "video/mp4",
    "webm": "video/webm",
    "mov": "video/quicktime",
    "pdf": "application/pdf",
    "txt": "text/plain",
    "md": "text/markdown",
    "csv": "text/csv",
    "html": "text/html",
    "json": "application/json",
    "xml": "text/xml",
}
_USUAL: Final[dict[Literal["image", "audio", "file"], str]] = {
    "image": "image/jpeg",
    "audio": "audio/mpeg",
    "file": "application/pdf",
}


def media_part(media: Media, model: Traits) -> dict[str, object]:
    """Return a part. Raises `BadCall` where Gemini cannot get at the bytes."""
    if media.data is not None:
        mime_type = media.media_type or _guessed(media, media.name or "")
        return {"inlineData": {"mimeType": mime_type, "data": media.data}}
    address = media.url or _address_of(media.file_id or "")
    if not opens_url(address, model):
        raise BadCall("This model takes no media by URL; send the bytes.", param="messages")
    mime_type = media.media_type or _guessed(media, urlsplit(address).path)
    return {"fileData": {"mimeType": mime_type, "fileUri": address}}


def opens_url(url: str, model: Traits) -> bool:
    """Tell whether a model gets at the bytes behind an address itself."""
    return model.takes_urls or url.startswith(_OWN)


def _address_of(file_id: str) -> str:
    if file_id.startswith("files/"):
        return _FILES + file_id
    if file_id.startswith(_OWN):
        return file_id
    raise BadCall(f"The file '{file_id[:200]}' is not one of this provider's.", param="messages")


def _guessed(media: Media, name: str) -> str:
    ending = name.rpartition(".")[2].lower()
    return _TYPES.get(ending, _USUAL[media.kind])
