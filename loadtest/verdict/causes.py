"""Why attempts to connect failed, in words a person understands, and what to do about each cause.

A failed attempt is counted as an error `phase: cause`; both are short stable words. `_CAUSES` has a row for
each of them, `_HTTP` one for each status that has a meaning of its own. A text may quote what the server or
the system said; that was bounded and freed of secrets when it was recorded. Advice never quotes anything.
"""

import re
from collections.abc import Mapping
from typing import Final, NamedTuple
from urllib.parse import urlsplit

from loadtest.results.data import RunData
from loadtest.results.manifest import Manifest
from loadtest.session.recorder import OWN_LIMITS, ErrorTally
from loadtest.text import counted, one_line

DETAIL_LENGTH = 100
"""Characters quoted of what the server or the system said."""

_PHASES = ("dns", "tcp", "proxy", "tls", "upgrade", "token", "login", "established", "working")
_ERROR = re.compile(rf"(?P<phase>{'|'.join(_PHASES)}): (?P<cause>\w+)")


class Cause(NamedTuple):
    """A cause of failed attempts.

    Args:
        text: what happened, with {server}, {path}, {detail} and {timeout} to be filled in.
        advice: what to do.
    """

    text: str
    advice: str


_READ_LOG = "look up the first error in the server's log, by its session and time"
_ADDRESS = "check the host and port of --host"
_PATH = "check --ws-path, and where a proxy in front of the server routes it"
_PROXY = (
    "check --ws-path, and that a proxy in front of the server forwards the Upgrade and Connection headers"
)
_LOGIN = (
    "check --ws-token (or LOCUST_WS_TOKEN): is the token valid for this server, and not expired? If tokens "
    "from --ws-token-cmd expire, set --ws-token-ttl"
)
_TLS_PORT = (
    "is this a TLS port (if not, use ws://), and does the server require a client certificate "
    "(--ws-tls-cert)?"
)
_CERTIFICATE = "give a client certificate from a CA that the server trusts (--ws-tls-cert, --ws-tls-key)"
_OF_PROXY = "check the address of --ws-proxy, and that the proxy is up"
_BEHIND_PROXY = "ask the proxy's operator whether this machine may connect to this host and port"
_BUSY = (
    "has the server finished starting, and can it, and any proxy in front of it, hold all connections "
    "of this run?"
)

_CAUSES: Final[Mapping[str, Cause]] = {
    "dns": Cause(
        "the host name of {server} could not be resolved: {detail}", f"{_ADDRESS}, and DNS on this machine"
    ),
    "tcp: refused": Cause(
        "connection refused by {server}",
        f"nothing listens on this port: is the server up? If it is, {_ADDRESS}",
    ),
    "tcp: timeout": Cause(
        "no answer from {server}", f"{_ADDRESS}, and whether a firewall blocks this machine"
    ),
    "tcp: unreachable": Cause("no route to {server}", f"{_ADDRESS}, and the network of this machine"),
    "tcp": Cause("could not connect to {server}: {detail}", f"{_ADDRESS}, and the network of this machine"),
    "proxy: unknown_host": Cause(
        "the host name of the proxy {proxy} could not be resolved: {detail}", _OF_PROXY
    ),
    "proxy: refused": Cause("connection refused by the proxy {proxy}", _OF_PROXY),
    "proxy: timeout": Cause("no answer from the proxy {proxy} within {timeout} s", _OF_PROXY),
    "proxy: unreachable": Cause("no route to the proxy {proxy}", _OF_PROXY),
    "proxy: certificate": Cause(
        "the certificate of the proxy {proxy} was not accepted: {detail}",
        "trust its issuer with --ws-tls-ca FILE, or accept any certificate with --ws-tls-insecure",
    ),
    "proxy: answered_407": Cause(
        "the proxy {proxy} requires a login, or rejected this one: {detail}",
        "give the login in the URL of --ws-proxy: http://USER:PASSWORD@HOST:PORT",
    ),
    "proxy: login": Cause(
        "the proxy {proxy} rejected the login: {detail}",
        "give the login in the URL of --ws-proxy: socks5://USER:PASSWORD@HOST:PORT",
    ),
    "proxy: bad_answer": Cause(
        "the proxy {proxy} does not speak the protocol of --ws-proxy: {detail}",
        "check the scheme and port of --ws-proxy: http, https, socks5 and socks5h are different protocols",
    ),
    "proxy: server_unreachable": Cause(
        "the proxy {proxy} cannot reach {server}: {detail}",
        f"is the server up, and can the proxy resolve its name? If so, {_BEHIND_PROXY}",
    ),
    "proxy": Cause("the proxy {proxy} refused a connection to {server}: {detail}", _BEHIND_PROXY),
    "tls: client_certificate": Cause(
        "{server} requires a client certificate, and none was given", _CERTIFICATE
    ),
    "tls: client_certificate_refused": Cause(
        "{server} rejected the client certificate: {detail}", _CERTIFICATE
    ),
    "tls: unrecognized_name": Cause(
        "{server} does not know the host name sent in the TLS handshake: {detail}",
        "give the name in the server's certificate: in --host, or with --ws-sni",
    ),
    "tls: certificate": Cause(
        "the certificate of {server} was not accepted: {detail}",
        "trust its issuer with --ws-tls-ca FILE, or accept any certificate with --ws-tls-insecure. Replace "
        "a certificate that has expired or names another host",
    ),
    "tls: timeout": Cause("no answer from {server} in the TLS handshake", _TLS_PORT),
    "tls": Cause("the TLS handshake with {server} failed: {detail}", _TLS_PORT),
    "upgrade: bad_handshake": Cause(
        "no valid WebSocket upgrade for {path}: {detail}",
        "the response is not from a WebSocket server, or a proxy changed it: check the host and port of "
        "--host, and --ws-path",
    ),
    "upgrade: no_subprotocol": Cause(
        "{detail}",
        "make the server select one of them: browsers fail a connection without one. Check --ws-subprotocol "
        "and the dialect's subprotocols, or accept it with --ws-subprotocol-optional",
    ),
    "upgrade: extension": Cause(
        "the server selected extensions that were not offered in this form: {detail}",
        "the server, or a proxy in front of it, does not negotiate compression as RFC 7692 requires: try "
        "another value of --ws-compression",
    ),
    "upgrade: timeout": Cause(
        "no answer to the upgrade for {path} within {timeout} s",
        "the server accepts connections but does not answer: is it stuck, or is --ws-open-timeout too short?",
    ),
    "upgrade": Cause(
        "{server} ended the connection before it answered the upgrade for {path}",
        f"does the server require TLS (wss://)? If not, {_READ_LOG}",
    ),
    "token: command_failed": Cause(
        "no token: {detail}",
        "run the command of --ws-token-cmd in a shell: it must print one token on standard output, within "
        "--ws-open-timeout",
    ),
    "token": Cause(
        "no token: {detail}",
        "call the token function outside of a run: it must return a token without blocking",
    ),
    "login": Cause(
        "login failed: {detail}", "check the credentials in --ws-data and --ws-token, and the login service"
    ),
    "established: auth_required": Cause("the server rejected the login: {detail}", _LOGIN),
    "working: auth_required": Cause("the server rejected the login: {detail}", _LOGIN),
    "established: establish_timeout": Cause(
        "the WebSocket opened, but the session was not established within {timeout} s",
        "the server did not confirm the session: 'loadtest dialect check' shows the conversation. Or "
        "--ws-open-timeout is too short",
    ),
}
"""Causes by phase and cause; the row of a phase alone holds for its other causes."""

_HTTP: Final[Mapping[str, Cause]] = {
    "2": Cause(
        "HTTP {status} for {path}, no upgrade to WebSocket", f"this path answers plain HTTP: {_PROXY}"
    ),
    "3": Cause(
        "{path} is a redirect: {detail}",
        "WebSocket clients do not follow redirects: set --host and --ws-path to the redirect's target",
    ),
    "400": Cause("", f"the server rejected the upgrade request as malformed: {_PROXY}; then --ws-header"),
    "401": Cause("", _LOGIN),
    "403": Cause(
        "",
        f"{_LOGIN}. Some servers require an Origin (--ws-origin) or a Cookie (--ws-header), and many answer "
        "403 if no WebSocket route has this path (--ws-path)",
    ),
    "404": Cause("", f"there is no endpoint at this path: {_PATH}"),
    "426": Cause("", f"the server did not see an upgrade request: {_PROXY}"),
    "429": Cause(
        "", "the server limits connections: start users more slowly (-r), or raise its limit for this machine"
    ),
    "4": Cause("", f"the example shows the server's answer: {_PATH}, then --ws-token and --ws-header"),
    "500": Cause("", f"the server failed while handling the upgrade: {_READ_LOG}"),
    "502": Cause(
        "",
        f"the proxy in front got no valid response from the server: is the server up? If it is, {_READ_LOG}",
    ),
    "503": Cause("", _BUSY),
    "504": Cause("", _BUSY),
    "": Cause("", _READ_LOG),
}
"""By status, or its first digit; a row without a text has the usual one."""

_CLOSED: Final[Mapping[str, Cause]] = {
    "1000": Cause("closed with 1000 (normal)", f"the server ends new connections: {_READ_LOG}"),
    "1001": Cause("closed with 1001 (going away)", _BUSY),
    "1008": Cause("closed with 1008 (policy violation)", f"{_LOGIN}. If it is, {_READ_LOG}"),
    "1011": Cause("closed with 1011 (internal error)", f"the server failed: {_READ_LOG}"),
    "1012": Cause("closed with 1012 (restart)", _BUSY),
    "1013": Cause("closed with 1013 (try again later)", _BUSY),
    "4400": Cause("closed with 4400 (bad request)", f"the server rejected a message: {_READ_LOG}"),
    "4401": Cause("closed with 4401 (login rejected)", _LOGIN),
    "4403": Cause("closed with 4403 (forbidden)", _LOGIN),
    "4406": Cause("closed with 4406 (subprotocol not acceptable)", "check --ws-subprotocol"),
    "4408": Cause(
        "closed with 4408 (timeout)", "does the client log in, and soon enough? See the dialect's options"
    ),
    "4409": Cause("closed with 4409 (conflict)", _READ_LOG),
    "4429": Cause("closed with 4429 (too many requests)", _BUSY),
    "reset": Cause("reset by the server", f"the server may have crashed: {_READ_LOG}"),
    "eof": Cause("ended by the server without a close frame", f"the server may have crashed: {_READ_LOG}"),
    "protocol_error": Cause(
        "ended because the server violated the WebSocket protocol",
        "the server, or a proxy in front of it, sends frames that RFC 6455 forbids: the error names them",
    ),
    "invalid_utf8": Cause(
        "ended because the server sent a text message that is not UTF-8",
        "the server must send such data as binary messages",
    ),
    "flooded": Cause(
        "ended because the server sent too much: {detail}",
        "if this is intended, raise the limit that the error names",
    ),
    "message_too_big": Cause(
        "ended because a message was too large",
        "if messages this large are intended, raise WebSocketUser.max_message_bytes",
    ),
    "": Cause("closed with {code}", f"find out what this code means in your application: {_READ_LOG}"),
}
"""Ends of a connection before the session was established, or before it had worked."""

_ENDED = {f"{phase}: {cause}" for phase in ("tls", "upgrade") for cause in ("eof", "reset")}
"""Ends that a proxy may bring about, too: some say that they are connected before they are."""

_TOO_EARLY = {
    "established": "before the session was established",
    "working": "before the session had worked",
}


class Explained(NamedTuple):
    """The most frequent cause of an item's failed attempts: how often it occurred, and what it is."""

    times: int
    text: str


def explained(run: RunData, item: str) -> Explained | None:
    """Return the most frequent cause of failed attempts that is not the load generator's; None if unknown."""
    for tally in run.errors_of(item, len(run.errors)):
        found = foreign_cause_of(tally.error)
        if found is not None:
            return Explained(tally.count, _filled(found, tally, run.manifest))
    return None


def why(run: RunData, item: str) -> str:
    """Return the most frequent cause of an item's failed attempts, to end its summary; empty if unknown."""
    found = explained(run, item)
    if found is None:
        return ""
    all_of_them = found.times >= run.count(f"{item}.failed")
    return f": {found.text}" if all_of_them else f"; {counted(found.times, 'time')}: {found.text}"


def foreign_cause_of(error: str) -> Cause | None:
    """Return the row of an error; None for one that the load generator's own limits caused."""
    return None if error.rpartition(" ")[2] in OWN_LIMITS else cause_of(error)


def cause_of(error: str) -> Cause | None:
    """Return the row of an error `phase: cause`; None for an error that is no failed attempt."""
    match = _ERROR.fullmatch(error)
    if match is None:
        return None
    phase, cause = match["phase"], match["cause"]
    if error in _CAUSES:
        return _CAUSES[error]
    if cause.startswith("http_"):
        return _of_status(cause.removeprefix("http_"))
    if phase in _TOO_EARLY:
        return _of_close(cause.removeprefix("closed_"), _TOO_EARLY[phase])
    return _CAUSES[phase]


def _of_status(status: str) -> Cause:
    row = _HTTP.get(status) or _HTTP.get(status[:1]) or _HTTP[""]
    text = row.text or "HTTP {status} for {path}"
    return Cause(text.replace("{status}", status), row.advice)


def _of_close(code: str, when: str) -> Cause:
    row = _CLOSED.get(code) or _CLOSED[""]
    return Cause(f"{row.text.replace('{code}', code)} {when}{{reason}}", row.advice)


def _filled(cause: Cause, tally: ErrorTally, manifest: Manifest) -> str:
    detail = one_line(_told(tally.example), DETAIL_LENGTH)
    known = {
        "server": _server(manifest.target),
        "proxy": _server(manifest.proxy or ""),
        "path": _path(manifest.plan.path),
        "timeout": f"{manifest.plan.open_timeout_s:g}",
        "reason": f": {detail}" if detail else "",
        "detail": detail or "no reason given",
    }
    text = re.sub(r"\{(\w+)\}", lambda match: known[match[1]], cause.text)
    either = manifest.proxy is not None and tally.error in _ENDED
    return f"{text}, or the proxy {known['proxy']} did" if either else text


def _told(example: str) -> str:
    """Return what an example says: of OpenSSL's errors only the reason, nothing of our own hints."""
    told = example.partition("; ")[0]
    return re.sub(r"^\[.*?\] (certificate verify failed: )?| \(_ssl\.c:\d+\)$", "", told)


def _server(target: str) -> str:
    """Return host and port of the target."""
    parts = urlsplit(target)
    port = "" if parts.port else ":443" if parts.scheme in ("wss", "https") else ":80"
    return f"{parts.netloc}{port}"


def _path(path: str) -> str:
    """Return the path without its query, and with an ellipsis for what differs between sessions."""
    return one_line(re.sub(r"\{[^}]*\}", "…", path.partition("?")[0]), DETAIL_LENGTH)
