"""A service account of a test's own: its key file, and the public half that a token service knows."""

import functools
from typing import Any

import msgspec
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import rsa

from router.simulator import PublicKey

EMAIL = "gateway@mine.iam.gserviceaccount.com"
TOKEN_HOST = "oauth2.example"


@functools.cache
def private_key() -> rsa.RSAPrivateKey:
    return rsa.generate_private_key(public_exponent=65537, key_size=2048)


def key_file(**changes: Any) -> str:
    """The key file's contents, as Google's console writes them: over many lines."""
    pem = private_key().private_bytes(
        serialization.Encoding.PEM,
        serialization.PrivateFormat.PKCS8,
        serialization.NoEncryption(),
    )
    contents = {
        "type": "service_account",
        "project_id": "mine",
        "private_key_id": "k1",
        "private_key": pem.decode(),
        "client_email": EMAIL,
        "token_uri": f"https://{TOKEN_HOST}/token",
        **changes,
    }
    return msgspec.json.format(msgspec.json.encode(contents), indent=2).decode()


def known_accounts() -> dict[str, PublicKey]:
    """What the token service knows."""
    return {EMAIL: PublicKey(private_key().public_key().public_numbers().n)}
