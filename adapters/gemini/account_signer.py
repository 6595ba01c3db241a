"""RS256, by PyJWT's own algorithm: RSASSA-PKCS1-v1_5 over SHA-256 (RFC 7518, section 3.3)."""

from cryptography.hazmat.primitives.asymmetric.rsa import RSAPrivateKey
from jwt.algorithms import RSAAlgorithm
from jwt.exceptions import InvalidKeyError

from adapters.gemini.key_file import BadKeyFile


def sign(private_key: str, statement: bytes) -> bytes:
    """Sign with a private key in PEM. Raises `BadKeyFile`, which holds no part of the key."""
    algorithm = RSAAlgorithm(RSAAlgorithm.SHA256)
    try:
        key = algorithm.prepare_key(private_key)
    except (InvalidKeyError, TypeError, ValueError):
        raise BadKeyFile("The key file's 'private_key' is no RSA key in PEM.") from None
    if not isinstance(key, RSAPrivateKey):
        raise BadKeyFile("The key file's 'private_key' is a public key.")
    return algorithm.sign(statement, key)
