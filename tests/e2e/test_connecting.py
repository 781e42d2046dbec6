"""How connections are set up, in real runs: every option once, and each refusal named in the verdict."""

from __future__ import annotations

import ssl
from pathlib import Path

import pytest

from tests.conftest import Certificates
from tests.support.locusts import LOCUSTFILE, Finished, LocustProcess, two_workers
from tests.support.particular_server import ParticularServer, particular
from tests.support.proxy_servers import ProxyServer, proxy_in_thread

SHORT = (
    *("--ws-dialect", "echo", "--ws-sessions", "4", "--ws-rate", "10", "--ws-warmup", "0"),
    *("--ws-drop-every", "1.5", "--ws-drops", "close=1,reset=1", "--ws-backoff", "constant(0.2)"),
    *("--ws-reply-timeout", "2", "--ws-baseline", "none"),
)

ALL_WELL = {"connect": "PASS", "stability": "PASS", "messaging": "PASS", "reconnect": "PASS"}


def run(results: Path, host: str, *options: str, seconds: int = 6, locustfile: Path = LOCUSTFILE) -> Finished:
    """Make a short run with two users."""
    given = (*SHORT, "--host", host, *options)
    with LocustProcess(results, *given, seconds=seconds, locustfile=locustfile) as locust:
        return locust.wait()


def written_by(finished: Finished) -> bytes:
    """Return everything that a run has printed and written."""
    files = (path for path in finished.run.rglob("*") if path.is_file())
    return finished.output.encode() + b"".join(path.read_bytes() for path in files)


def item(finished: Finished, name: str) -> str:
    """Return an item's verdict and summary."""
    found = next(one for one in finished.verdict["items"] if one["item"] == name)
    return f"{found['verdict']}: {found['summary']}"


def went_well(finished: Finished) -> None:
    """Check that what can be judged without a baseline has passed."""
    rulings = {name: finished.rulings[name] for name in ALL_WELL}
    assert rulings == ALL_WELL, finished.output


def wanting_certificates(certificates: Certificates) -> ssl.SSLContext:
    """Return the TLS context of a server that lets nobody in without a client certificate."""
    context = certificates.server_context()
    context.verify_mode = ssl.CERT_REQUIRED
    context.load_verify_locations(certificates.authority)
    return context


def test_compression_and_pings(tmp_path: Path) -> None:
    """Plan and report have both: what was agreed, and the pings' round trips; the host is IPv6."""
    with particular(ParticularServer(host="::1")) as server:
        finished = run(
            tmp_path, server.url, "--ws-compression", "on", "--ws-ping", "1", "--ws-ping-timeout", "5"
        )
    went_well(finished)
    counts = finished.counts
    assert counts["connect.compressed"] == counts["connect.opened"] > 8
    assert counts["connect.resets_sent"] == counts["connect.resets_received"] == 0
    assert "permessage-deflate offered (on), agreed on" in finished.page
    assert "keepalive ping of the client to its pong" in finished.page
    assert finished.manifest["plan"]["compression"] == "on"
    assert finished.manifest["plan"]["ping_interval_s"] == 1


def test_a_bomb_is_a_loss_that_is_named(tmp_path: Path) -> None:
    """A small message that expands beyond the limit ends the connection, and fails the run."""
    with particular(ParticularServer(bomb_bytes=20_000_000)) as server:
        finished = run(tmp_path, server.url, "--ws-compression", "on", seconds=4)
    assert finished.exit_code == 1
    assert "a message was too large" in item(finished, "connect")


PROXY_LOGIN = ("tester", "pr0xy/PASSword+1")


def test_everything_at_once(tmp_path: Path, certificates: Certificates) -> None:
    """A server that wants it all gets it, through a proxy with a login; no secret is written anywhere."""
    server = ParticularServer(
        tls=wanting_certificates(certificates),
        origin="https://app.example.org",
        headers=(("X-Tag", "one-of-two"), ("X-Tag", "two-of-two"), ("Authorization", "Bearer the-later-one")),
        subprotocols=("chat.v2",),
        gives_cookies=True,
    )
    options = (
        *("--ws-origin", "https://app.example.org", "--ws-subprotocol", "chat.v3"),
        *(
            "--ws-subprotocol",
            "chat.v2",
            "--ws-header",
            "X-Tag: one-of-two",
            "--ws-header",
            "X-Tag:two-of-two",
        ),
        *("--ws-header", "Authorization: Bearer the-earlier-one"),
        *("--ws-header", "authorization: Bearer the-later-one"),
        *("--ws-tls-ca", str(certificates.authority), "--ws-tls-cert", str(certificates.server)),
        *("--ws-sni", "localhost", "--ws-compression", "no-takeover", "--loglevel", "DEBUG"),
    )
    with particular(server), proxy_in_thread(ProxyServer(login=PROXY_LOGIN)) as proxy:
        url = f"http://tester:pr0xy%2FPASSword%2B1@127.0.0.1:{proxy.port}"
        finished = run(tmp_path, server.url, *options, "--ws-proxy", url)
    assert server.refused == []
    went_well(finished)
    # The run's end may cut an attempt short before, or after, the server has seen it.
    assert (
        4 < finished.counts["reconnect.resumed"] <= server.came_back <= finished.counts["reconnect.attempts"]
    )
    assert finished.counts["connect.resets_sent"] == finished.counts["connect.opened"]
    assert finished.manifest["proxy"] == f"http://127.0.0.1:{proxy.port}"
    assert finished.manifest["plan"]["proxy"] == "http"
    note = f"sessions connected through the proxy http://127.0.0.1:{proxy.port}: "
    assert [one for one in finished.verdict["notes"] if one.startswith(note)]
    written = written_by(finished)
    for secret in (b"PASSword", b"the-later-one", b"the-earlier-one", b"one-of-two", b"seat-number"):
        assert secret not in written


def test_a_missing_client_certificate_is_named(tmp_path: Path, certificates: Certificates) -> None:
    """Not as an end of the connection that nobody can explain."""
    with particular(ParticularServer(tls=wanting_certificates(certificates))) as server:
        host = server.url.replace("127.0.0.1", "localhost")
        finished = run(tmp_path, host, "--ws-tls-ca", str(certificates.authority), seconds=3)
    assert finished.exit_code == 1
    assert "requires a client certificate, and none was given" in item(finished, "connect")
    assert "--ws-tls-cert" in finished.output


def test_a_socks_proxy(tmp_path: Path) -> None:
    """Sessions go through it, and know the server by its name."""
    with (
        particular(ParticularServer(compresses=False)) as server,
        proxy_in_thread(ProxyServer(scheme="socks5", login=PROXY_LOGIN)) as proxy,
    ):
        url = f"socks5h://tester:pr0xy%2FPASSword%2B1@localhost:{proxy.port}"
        host = f"ws://front.example:{server.port}"
        finished = run(tmp_path, host, "--ws-proxy", url, "--ws-compression", "on")
    went_well(finished)
    assert set(proxy.asked) == {f"front.example:{server.port}"}
    assert finished.counts["connect.compressed"] == 0
    assert "agreed on 0 of" in finished.page


def test_an_https_proxy_with_workers(tmp_path: Path, certificates: Certificates) -> None:
    """TLS to the server within TLS to the proxy, from each worker; the login is written nowhere."""
    behaviour = ProxyServer(login=PROXY_LOGIN, tls=certificates.server_context())
    with (
        particular(ParticularServer(tls=certificates.server_context())) as server,
        proxy_in_thread(behaviour) as proxy,
    ):
        url = f"https://tester:pr0xy%2FPASSword%2B1@localhost:{proxy.port}"
        host = server.url.replace("127.0.0.1", "localhost")
        trust = ("--ws-tls-ca", str(certificates.authority))
        finished = run(tmp_path, host, "--ws-proxy", url, *trust, *two_workers())
    went_well(finished)
    assert finished.counts["connect.opened"] <= len(proxy.asked)
    assert finished.manifest["proxy"] == f"https://localhost:{proxy.port}"
    assert b"PASSword" not in written_by(finished)


CLASSES = """
from loadtest import WebSocketUser


class Chat(WebSocketUser):
    dialect = "echo"
    {of_chat}


class Market(WebSocketUser):
    dialect = "echo"
    compression = "on"
"""


def test_classes_that_compress_in_different_ways(tmp_path: Path) -> None:
    """The report says so, and on how many connections of both it was agreed."""
    file = tmp_path / "users.py"
    file.write_text(CLASSES.format(of_chat=""))
    more = ("--ws-sessions", "10")  # each class has one user, and needs ten outages that resumed
    with particular(ParticularServer()) as server:
        finished = run(tmp_path / "results", server.url, *more, locustfile=file)
    went_well(finished)
    counts = finished.counts
    assert 0 < counts["connect.compressed"] < counts["connect.opened"]
    told = f"offered (off + on), agreed on {counts['connect.compressed']} of {counts['connect.opened']} "
    assert told.strip() in finished.page


def test_a_run_has_one_proxy(tmp_path: Path) -> None:
    """That of the one class that sets it is used by all."""
    file = tmp_path / "users.py"
    with particular(ParticularServer()) as server, proxy_in_thread(ProxyServer()) as proxy:
        file.write_text(CLASSES.format(of_chat=f'proxy = "http://127.0.0.1:{proxy.port}"'))
        finished = run(tmp_path / "results", server.url, locustfile=file)
    assert finished.manifest["proxy"] == f"http://127.0.0.1:{proxy.port}"
    assert 0 < finished.counts["connect.opened"] <= len(proxy.asked)


@pytest.mark.parametrize(
    ("proxy", "told"),
    [
        (ProxyServer(login=PROXY_LOGIN), "requires a login, or rejected this one: HTTP 407"),
        (ProxyServer(refusal="502 Bad Gateway"), "cannot reach 127.0.0.1:9: HTTP 502 Bad Gateway"),
    ],
)
def test_a_proxys_refusal_is_named_as_its_own(tmp_path: Path, proxy: ProxyServer, told: str) -> None:
    """With its answer, and not as a failure of the server."""
    with proxy_in_thread(proxy) as running:
        url = f"http://127.0.0.1:{running.port}"
        finished = run(tmp_path, "ws://127.0.0.1:9", "--ws-proxy", url, seconds=3)
    assert finished.exit_code == 1
    assert f"the proxy 127.0.0.1:{running.port} {told}" in item(finished, "connect")


def test_an_api_key_without_a_password_is_written_nowhere(tmp_path: Path) -> None:
    """It is the secret of a proxy's URL then, although the proxy quotes it, as it is and in base64."""
    answer = b"HTTP/1.1 407 no API-key-of-us QVBJLWtleS1vZi11czo=\r\n\r\n"
    with proxy_in_thread(ProxyServer(nonsense=answer)) as running:
        url = f"http://API-key-of-us@127.0.0.1:{running.port}"
        options = ("--ws-proxy", url, "--loglevel", "DEBUG")
        finished = run(tmp_path, "ws://127.0.0.1:9", *options, seconds=3)
    assert "requires a login, or rejected this one: HTTP 407" in item(finished, "connect")
    assert b"API-key" not in written_by(finished)
    assert b"QVBJLWtle" not in written_by(finished)


def test_a_redirect_is_named_with_its_target(tmp_path: Path) -> None:
    """And not followed; what stands in the target's query is not shown."""
    with particular(ParticularServer(redirects_to="https://login.example/sso?next=s3cr3t")) as server:
        finished = run(tmp_path, server.url, seconds=3)
    assert finished.exit_code == 1
    assert "/ is a redirect: HTTP 302 to https://login.example/sso" in item(finished, "connect")
    assert "s3cr3t" not in finished.output
