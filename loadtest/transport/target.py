"""The server's URL and TLS settings, checked before the first connection."""

import socket
import ssl
from dataclasses import dataclass, field
from pathlib import Path
from urllib.parse import urlsplit

from loadtest.errors import NOT_SHOWN, InvalidSetting
from loadtest.regular_files import read_regular
from loadtest.text import public_url
from loadtest.values import text_problem

URL_FORM = "ws://HOST[:PORT][/PATH] or wss://HOST[:PORT][/PATH]"
"""How the URL of a server is written."""

_SECURE_SCHEMES = {"ws": False, "http": False, "wss": True, "https": True}


_MAX_PEM = 16 << 20
"""Bytes of a PEM file: the certificates of all public authorities take 250 KB."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Tls:
    """TLS settings: certificates to trust and to present.

    Args:
        ca: file of certificates (PEM) to trust instead of the system's.
        cert: client certificate (PEM); its key is in `key` or in the same file.
        key: private key of the client certificate (PEM).
        insecure: whether to accept any server certificate.
    """

    ca: Path | None = None
    cert: Path | None = None
    key: Path | None = None
    insecure: bool = False

    def check(self) -> None:
        """Check the files, even for ws://, which does not use them.

        Raises:
            InvalidSetting: see `context`.
        """
        if self.ca is not None or self.cert is not None or self.key is not None:
            self.context()

    def context(self) -> ssl.SSLContext:
        """Return the TLS context for all connections of a run.

        Raises:
            InvalidSetting: a file is missing or not valid, or there is a key without a certificate.
        """
        try:
            trusted = None if self.ca is None else _pem(self.ca).decode("ascii")
            context = ssl.create_default_context(cadata=trusted or None)
        except UnicodeDecodeError as error:
            raise _bad_file("--ws-tls-ca", self.ca, OSError("it contains non-ASCII bytes")) from error
        except (OSError, ssl.SSLError) as error:
            raise _bad_file("--ws-tls-ca", self.ca, error) from error
        if self.insecure:
            context.check_hostname = False
            context.verify_mode = ssl.CERT_NONE
        if self.key is not None and self.cert is None:
            raise InvalidSetting("--ws-tls-key", str(self.key), "needs --ws-tls-cert")
        if self.cert is not None:
            try:
                for file in filter(None, (self.cert, self.key)):
                    _pem(file)  # OpenSSL would wait for a FIFO, and read a device for ever
                context.load_cert_chain(self.cert, self.key)
            except (OSError, ssl.SSLError) as error:
                raise _bad_file("--ws-tls-cert", self.cert, error) from error
        return context


def _pem(file: Path) -> bytes:
    data = read_regular(file, _MAX_PEM, follow=True)
    if b"-----BEGIN" not in data:
        raise OSError("no line in it begins with -----BEGIN")
    return data


def _bad_file(option: str, path: Path | None, error: OSError) -> InvalidSetting:
    return InvalidSetting(option, str(path), f"must be a PEM file ({error.strerror or error})")


@dataclass(frozen=True, slots=True)
class Target:
    """The server under test, without a path.

    Args:
        host: host name or IP address.
        port: TCP port.
        tls: the TLS context for wss, None for ws.
        sni: the server's name in TLS, if it differs from the host.
        shows_certificate: whether the TLS context has a client certificate.
    """

    host: str
    port: int
    tls: ssl.SSLContext | None = None
    sni: str = field(default="", kw_only=True)
    shows_certificate: bool = field(default=False, kw_only=True)

    @classmethod
    def parse(cls, url: str, tls: Tls, *, option: str = "--host", sni: str = "") -> "Target":
        """Parse a `ws://`, `wss://`, `http://` or `https://` URL; `path_in` returns its path.

        Args:
            url: as typed.
            tls: settings for `wss://` and `https://`.
            option: name of the option in errors.
            sni: the server's name in TLS, if it differs from the host.

        Raises:
            InvalidSetting: the URL is not valid or holds credentials, or a TLS setting is not valid.
        """
        malformed = InvalidSetting(option, public_url(url), f"must be {URL_FORM}")
        if problem := text_problem(url, one_line=True):  # urlsplit drops tabs and line breaks
            raise InvalidSetting(option, public_url(url), problem)
        try:
            parts = urlsplit(url)
            port = parts.port
        except ValueError:
            raise malformed from None
        if parts.username or parts.password:
            raise InvalidSetting(option, NOT_SHOWN, "must not contain credentials", "Use --ws-header")
        secure = _SECURE_SCHEMES.get(parts.scheme)
        if secure is None or not parts.hostname or port == 0:
            raise malformed
        if parts.fragment:  # RFC 6455, section 3
            raise InvalidSetting(option, public_url(url), "must not contain a fragment (#…)")
        if sni and not secure:
            raise InvalidSetting("--ws-sni", sni, "requires a server with TLS (wss://)")
        return cls(
            parts.hostname,
            port or (443 if secure else 80),
            tls.context() if secure else None,
            sni=sni,
            shows_certificate=secure and tls.cert is not None,
        )

    def __str__(self) -> str:
        return f"{'wss' if self.tls else 'ws'}://{self._address}"

    @property
    def server_name(self) -> str:
        """The name sent in TLS, which the server's certificate must contain."""
        return self.sni or self.host.partition("%")[0]

    @property
    def http_url(self) -> str:
        """The server's URL for HTTP, without a path or trailing slash."""
        return f"{'https' if self.tls else 'http'}://{self._address}"

    @property
    def _address(self) -> str:
        host = f"[{self.host}]" if ":" in self.host else self.host
        return f"{host}:{self.port}"


def path_in(url: str) -> str | None:
    """Return the path and query of a URL that `Target.parse` has accepted; None if it has neither."""
    parts = urlsplit(url)
    path = (parts.path or "/") + (f"?{parts.query}" if parts.query else "")
    return None if path == "/" else path


def check_source(address: str) -> None:
    """Check that this machine can connect from a local address.

    Raises:
        InvalidSetting: the address does not belong to this machine.
    """
    family = socket.AF_INET6 if ":" in address else socket.AF_INET
    with socket.socket(family, socket.SOCK_STREAM) as sock:
        try:
            sock.bind((address, 0))
        except OSError as error:
            problem = f"must be an address of this machine ({error.strerror or error})"
            raise InvalidSetting("--ws-source-ip", address, problem) from error


def check_reachable(target: Target, timeout_s: float = 5.0) -> None:
    """Check that something listens at the target, so that a typo is found before the run begins.

    Raises:
        InvalidSetting: the host name is not valid, or no TCP connection succeeded within `timeout_s`.
    """
    try:
        socket.create_connection((target.host, target.port), timeout_s).close()
    except UnicodeError:
        raise InvalidSetting("--host", str(target), "must have a valid host name") from None
    except OSError as error:
        problem = f"cannot be reached: {error.strerror or error}"
        hint = "Check the address, and that the server is running"
        raise InvalidSetting("--host", str(target), problem, hint) from error


LOOPBACK = "127.0.0.1"


def free_port() -> int:
    """Return a TCP port that is currently free on the loopback address."""
    with socket.socket() as bound:
        bound.bind((LOOPBACK, 0))
        port: int = bound.getsockname()[1]
        return port


def is_free(port: int) -> bool:
    """Return whether a server can listen on this TCP port of the loopback address."""
    with socket.socket() as bound:
        # As servers do: connections in TIME_WAIT do not block the port, a listener does.
        bound.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            bound.bind((LOOPBACK, port))
        except OSError:
            return False
        return True


def reserved_port() -> socket.socket:
    """Return a socket that reserves a free port of LOOPBACK until a server listens there.

    Two sockets with SO_REUSEADDR may share an address as long as only one of them listens.
    """
    reserved = socket.socket()
    reserved.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    reserved.bind((LOOPBACK, 0))
    return reserved
