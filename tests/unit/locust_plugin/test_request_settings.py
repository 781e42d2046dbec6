"""Headers of a run, its Origin and its proxy: what is sent, what is refused, what nobody may see."""

from __future__ import annotations

from typing import Any

import pytest

from loadtest.errors import InvalidSetting
from loadtest.locust_plugin.load_settings import LoadSettings, load_settings
from loadtest.options import SETTINGS, command_options
from loadtest.results.manifest import comparability_hash
from loadtest.scrubber import without_secrets


def settings_of(host: str = "ws://127.0.0.1:9", **values: Any) -> LoadSettings:
    """Return the settings of a user class; attributes not told are those of `WebSocketUser`."""
    usual = {attribute: row.default for attribute, row in SETTINGS.items()}
    return load_settings(usual | values, host)


def test_the_origin_is_a_header() -> None:
    """It is no secret: servers name it when they refuse it."""
    settings = settings_of(origin="https://app.example.org", headers=["X-A: secret-value"])
    assert settings.engine.headers == (("X-A", "secret-value"), ("Origin", "https://app.example.org"))
    text = "https://app.example.org is not allowed to say secret-value"
    assert without_secrets(text, settings.secrets) == "https://app.example.org is not allowed to say ***"


@pytest.mark.parametrize("origin", ["null", "http://localhost:3000", "chrome-extension://abcdef"])
def test_origins_as_clients_send_them(origin: str) -> None:
    """Sandboxed pages send null, extensions a scheme of their own."""
    assert settings_of(origin=origin).engine.headers == (("Origin", origin),)


def test_headers_of_the_handshake_are_refused_with_the_option_to_use() -> None:
    """Given as headers, they would contradict what the tool negotiates."""
    with pytest.raises(InvalidSetting, match="--ws-compression"):
        settings_of(headers=["Sec-WebSocket-Extensions: permessage-deflate"])
    with pytest.raises(InvalidSetting, match="--ws-subprotocol"):
        settings_of(headers=["sec-websocket-protocol: chat"])


def test_a_proxys_login_is_a_secret() -> None:
    """Its password and what stands for it in a header; the plan has the proxy's kind only."""
    settings = settings_of(proxy="https://me:pr0xy-pass@proxy.example:8443")
    assert str(settings.engine.proxy) == "https://proxy.example:8443"
    assert settings.plan.proxy == "https"
    for secret in ("pr0xy-pass", "bWU6cHIweHktcGFzcw=="):
        assert secret not in without_secrets(f"sent {secret} to the proxy", settings.secrets)


def test_runs_through_a_proxy_or_with_compression_are_not_compared_with_others() -> None:
    """And those of versions without these settings keep their hash (see test_manifest)."""
    others: tuple[dict[str, Any], ...] = (
        {"compression": "on"},
        {"ping_interval_s": 5},
        {"proxy": "http://h"},
        {"proxy": "socks5://h"},
        {},
    )
    usual = comparability_hash(settings_of().plan)
    assert len({usual, *(comparability_hash(settings_of(**values).plan) for values in others)}) == 5
    first, second = (settings_of(proxy=f"http://{host}").plan for host in ("h", "me:secret@other:3128"))
    assert comparability_hash(first) == comparability_hash(second)


def test_the_command_that_repeats_a_run_names_what_is_not_the_default() -> None:
    """And never the proxy, whose URL may hold a login."""
    plan = settings_of(compression="no-takeover", ping_interval_s=5, proxy="http://h").plan
    told = command_options({name: getattr(plan, name) for name in plan.__struct_fields__})
    assert {"--ws-compression no-takeover", "--ws-ping 5"} <= set(told)
    plain = settings_of().plan
    told = command_options({name: getattr(plain, name) for name in plain.__struct_fields__})
    assert not any(option.startswith(("--ws-proxy", "--ws-ping", "--ws-compression")) for option in told)


def test_sni_needs_tls() -> None:
    """It is sent in TLS only."""
    assert settings_of("wss://127.0.0.1:9", sni="front.example").engine.target.server_name == "front.example"
    with pytest.raises(InvalidSetting, match="--ws-sni requires a server with TLS"):
        settings_of(sni="front.example")
