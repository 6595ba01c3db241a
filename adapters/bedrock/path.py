"""Where a request goes: Bedrock has the model and the method in the path, not in the body.

A provider's path has two places to fill in: `/model/{model}/{method}`. A model may be named by an ARN, whose
colons and slashes are all encoded.
"""

from urllib.parse import quote


def chat_path(path: bytes, model: str, *, stream: bool) -> bytes:
    """Fill in the model and the method."""
    method = b"converse-stream" if stream else b"converse"
    named = quote(model, safe="").encode()
    return path.replace(b"{model}", named).replace(b"{method}", method)
