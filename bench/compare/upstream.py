"""The one upstream that all contestants ask: canned bytes, over plain TCP and over TLS."""

import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import msgspec

from bench.compare.contestant import MODEL
from bench.processes import Service, StandFailed, ending
from bench.stand import python_command
from router.loadtest.target import Target


class Upstream(msgspec.Struct, frozen=True):
    """One of them, running; `certificate` is the file by which it can be trusted, where it needs trust."""

    service: Service
    target: Target
    certificate: Path | None = None


@contextmanager
def serving_upstream(folder: Path, *, tls: bool) -> Iterator[Upstream]:
    """Run it, on the cores of this thread. Raises StandFailed if it does not come up."""
    name = "upstream-tls" if tls else "upstream"
    certificate = None
    options: list[str] = []
    if tls:
        certificate, both = _certificate(folder)
        options = ["--certificate", str(both)]
    command = python_command("router.loadtest.responder", *options)
    service = Service(name, command, folder / f"{name}.log")
    with ending(service):
        url = service.wait_until(lambda: next(iter(service.lines()), None))
        yield Upstream(service, Target.of_url(url, key="none", model=MODEL), certificate)


def _certificate(folder: Path) -> tuple[Path, Path]:
    """Make a certificate for loopback; returns its file, and one that has its key as well."""
    key, certificate, both = (folder / name for name in ("key.pem", "certificate.pem", "both.pem"))
    command = ["openssl", "req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256"]
    command += ["-nodes", "-days", "2", "-subj", "/CN=localhost"]
    command += ["-addext", "subjectAltName=IP:127.0.0.1,DNS:localhost"]
    command += ["-keyout", str(key), "-out", str(certificate)]
    try:
        subprocess.run(command, check=True, capture_output=True, timeout=60)
    except (OSError, subprocess.SubprocessError) as error:
        raise StandFailed(f"openssl made no certificate: {error}") from error
    both.write_bytes(certificate.read_bytes() + key.read_bytes())
    return certificate, both
