"""Certificates for benchmarks over TLS: created for the run and trusted only by it."""

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from tempfile import TemporaryDirectory

import trustme


@dataclass(frozen=True, slots=True)
class Certificates:
    """Files in PEM.

    Args:
        ca: certificates that clients trust.
        server: the server's private key and chain.
    """

    ca: Path
    server: Path


@contextmanager
def certificates() -> Iterator[Certificates]:
    """Create the certificates of a server on 127.0.0.1, and remove them afterwards."""
    with TemporaryDirectory() as folder:
        made = Certificates(Path(folder) / "ca.pem", Path(folder) / "server.pem")
        authority = trustme.CA()
        authority.cert_pem.write_to_path(str(made.ca))
        authority.issue_cert("127.0.0.1").private_key_and_cert_chain_pem.write_to_path(str(made.server))
        yield made
