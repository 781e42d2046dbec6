"""Every error about a setting, in one file to read: tests/data/golden/option-errors.txt."""

from __future__ import annotations

import argparse
import math
import re
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from loadtest.command_lines import command_words
from loadtest.dialects.base import Dialect
from loadtest.dialects.bundled import dialect_named
from loadtest.dialects.echo import Echo
from loadtest.dialects.emergence import Emergence
from loadtest.drops.plan import DropPlan, Storm, parse_storms, parse_weights
from loadtest.duel.settings import DuelSettings, Side, parse_duration
from loadtest.errors import InvalidSetting, UsageError
from loadtest.locust_plugin.load_settings import load_settings
from loadtest.locust_plugin.parser import given_values
from loadtest.locust_plugin.planned_moments import check_storms
from loadtest.options import SETTINGS
from loadtest.server.server_settings import ServerSettings
from loadtest.serverlog.command_output import COMMAND_OPTION
from loadtest.serverlog.follow import source_of
from loadtest.serverlog.log_reader import LogReader, read
from loadtest.serverlog.rules import load_rules, parse_rules
from loadtest.serverlog.times import parse_since
from loadtest.session.data_rows import parse_rows, too_few_rows
from loadtest.session.schedule import Backoff, Pace, parse_backoff
from loadtest.statistics.margins import parse_margins
from loadtest.transport.addresses import LIMIT, expand
from loadtest.transport.http_health import check_health_path
from loadtest.transport.target import Target, Tls
from loadtest.values import Number, Whole
from loadtest.verdict.allowances import parse_allowances
from tests.support.golden import Golden
from tests.support.places import ROOT

DEFAULTS = {attribute: row.default for attribute, row in SETTINGS.items()}
URL = "ws://127.0.0.1:9"
A = Side(role="a", revision="v41", url="ws://127.0.0.1:1")
B = Side(role="b", revision="v42", url="ws://127.0.0.1:2")
MISSING = Path("no-such-file")


def attributes(**values: Any) -> Callable[[], object]:
    """Return what makes the settings of a user class with these attributes."""
    return lambda: load_settings(DEFAULTS | values, URL)


def at(host: str, **values: Any) -> Callable[[], object]:
    """Return what makes the settings of a user class with this host and these attributes."""
    return lambda: load_settings(DEFAULTS | values, host)


def options(**texts: Any) -> Callable[[], object]:
    """Return what reads these options."""
    typed = argparse.Namespace(**{f"ws_{name}": text for name, text in texts.items()})
    return lambda: load_settings(DEFAULTS | given_values(typed), URL)


def target(url: str, tls: Tls | None = None) -> Callable[[], object]:
    """Return what reads this URL."""
    return lambda: Target.parse(url, tls or Tls())


def duel(**changes: Any) -> Callable[[], object]:
    """Return what makes a duel with these settings."""
    return lambda: DuelSettings(**{"a": A, "b": B} | changes)


def side(**given: str) -> Callable[[], object]:
    """Return what makes a duel's side of these options."""
    values: dict[str, str | None] = {"url": None, "command": None, "revision": None, **given}
    return lambda: Side.given("a", **values)


def server(**settings: Any) -> Callable[[], object]:
    """Return what makes a reference server's settings."""
    return lambda: ServerSettings(**settings)


def call(function: Callable[..., object], *arguments: Any, **named: Any) -> Callable[[], object]:
    """Return what calls a function with these arguments."""
    return lambda: function(*arguments, **named)


def raise_(error: Exception) -> None:
    """Raise an error that a function returned."""
    raise error


GROUPS: dict[str, list[Callable[[], object]]] = {
    "Numbers": [
        *(options(rate=text) for text in ("-1", "fast", "nan", "inf", "1e400", "10001", "1e-7")),
        *(options(sessions=text) for text in ("0", "1.5", "many", "100001")),
        *(options(**{name: "-1"}) for name in ("in_flight", "message_bytes", "reply_timeout", "warmup")),
        *(options(**{name: "0"}) for name in ("open_timeout", "connect_concurrency")),
        *(options(**{name: "-1"}) for name in ("drop_every", "server_log_errors")),
        *(options(message_bytes=text) for text in ("47", "64=9,2000000=1", "64=9,65=0", "64,64=2")),
        options(seed="9" * 300),
        *(attributes(rate=value) for value in (-1.0, None, True, math.nan, "fast")),
        *(attributes(sessions=value) for value in (0, 2.5, None)),
        *(attributes(**{name: 0}) for name in ("max_message_bytes", "ping_timeout_s")),
        call(Pace, -1.0),
        call(Pace, 1.0, "even"),
    ],
    "Choices, flags, texts and pairs": [
        options(arrivals="even"),
        options(tls_insecure="perhaps"),
        options(header=["secret without a colon"]),
        options(header=[": secret without a name"]),
        attributes(headers=["secret"]),
        attributes(headers={"a b": "secret"}),
        attributes(headers={"Cookie": "secret\r\nX: y"}),
        *(options(header=[f"{name}: secret"]) for name in ("Sec-WebSocket-Extensions", "sec-websocket-key")),
        *(options(origin=text) for text in ("app.example.org", "https://app.example.org/", "https://a b")),
        attributes(origin="https://a", headers={"origin": "https://b"}),
        options(subprotocol=["a b"]),
        options(compression="gzip"),
        *(options(ping=text) for text in ("0.5", "-1", "often")),
        *(
            options(proxy=text)
            for text in ("proxy:8080", "ftp://secret@h", "http://h/secret", "socks5://u@h")
        ),
        options(sni="a b"),
        attributes(path=5),
        attributes(path="no-slash"),
        attributes(path="/a b"),
        attributes(tls_ca=5),
        attributes(dialect="klingon"),
        attributes(dialect=5),
        attributes(dialect=int),
        attributes(token=5),
        attributes(token=["secret"]),
        attributes(drops=5),
        attributes(backoff=5),
        attributes(backoff=None),
        attributes(rate=[1, 2]),
        attributes(baseline=["v1", "v2"]),
        attributes(tls_insecure=[True]),
        attributes(drops=["close", "fin"]),
        attributes(drops=("close", "fin")),
        call(dialect_named, "klingon"),
    ],
    "Data": [
        attributes(data=5),
        attributes(data=""),
        attributes(data=MISSING),
        attributes(data="/"),
        attributes(data="/dev/null"),
        *(
            call(parse_rows, content)
            for content in (
                *(b"", b"user,password\n", b"\xff", b"anna@example.org,secret\n", b"user;password\n"),
                *(b"user,user\na,b\n", b"user,password\nsecret\n", b'user\n"secret\n'),
                *(
                    b'{"user": ["secret"]}',
                    b'{"user": "secret"',
                    b'{"a": 1}\n"secret"',
                    b'{"a": 1}\n{"b": 1}',
                ),
            )
        ),
        call(raise_, too_few_rows(10, 2000)),
    ],
    "Drops": [
        call(DropPlan, -1.0),
        call(DropPlan, weights={"closed": 1.0}),
        call(DropPlan, weights={"close": math.nan}),
        call(DropPlan, weights={"close": 0.0}),
        *(call(parse_weights, text) for text in ("", "crash", "close=many", "close=-1", "close,close=2")),
    ],
    "Storms": [
        *(
            call(parse_storms, [text])
            for text in ("0.5", "half@30", "200%@30", "0@30", "0.5@-1", "0.5@30:hail")
        ),
        call(parse_storms, ["0.5@1"] * 21),
        call(DropPlan, storms=(Storm(at_s=1.0, share_ratio=2.0),)),
        call(check_storms, parse_storms(["0.5@90"]), 60.0),
    ],
    "Backoff": [
        call(Backoff, base_s=-1.0),
        call(Backoff, factor=0.5),
        call(Backoff, cap_s=math.inf),
        call(Backoff, max_attempts=-1),
        call(Backoff, jitter="some"),
        *(
            call(parse_backoff, text)
            for text in (
                *("hopeful", "none(1)", "constant(1,2)", "exponential(x)", "exponential(1,base=2)"),
                *("exponential(speed=2)", "exponential(1,2,8,none,5,6)", "exponential(1,2,8,some)"),
            )
        ),
    ],
    "Margins": [
        *(
            call(parse_margins, [text])
            for text in ("p50", "p50=8", "p75=8%", "p50=8%/9%", "p50=200%", "p50=61s", "p50=0%/0ms")
        ),
        call(parse_margins, ["p50=8"], option="--margin"),
        *(
            options(limit=[text])
            for text in ("p99", "p99=200", "p99=0s", "p99=2h", "p100=1s", "p99=1s,p99.0=2s", "push.p99=1s")
        ),
        options(limit=[""]),
        options(limit=["p99=200MS"]),
        options(limit=["p99=2min"]),
        options(limit=["connect=1s"]),
        options(limit=["service"]),
        attributes(limits={"p99": 200}),
        attributes(limits=5),
    ],
    "Allowed losses": [
        *(
            call(parse_allowances, [text])
            for text in (
                "many",
                "-1",
                "1006",
                "1006=",
                "1006=2/m",
                "999=5",
                "0/h",
                "1006=1 1006,1001=2",
                "1006=2,1011=any",
                "1 any",
            )
        )
    ],
    "Target and addresses": [
        target("ftp://127.0.0.1"),
        target("ws://127.0.0.1:99999"),
        target("ws://me:secret@127.0.0.1"),
        target("ftp://127.0.0.1/chat?token=secret"),
        target("ws://127.0.0.1/chat#secret"),
        options(subprotocol=["a b"]),
        options(subprotocol=["chat", ""]),
        attributes(subprotocols=("é",)),
        call(check_health_path, "health?token=secret"),
        at("ws://127.0.0.1/v2?token=secret", path="/v1"),
        at("ws://127.0.0.1/v2", dialect=Echo(path="/v1")),
        at("ws://127.0.0.1/sp ace"),
        target("wss://127.0.0.1", Tls(ca=MISSING)),
        target("wss://127.0.0.1", Tls(cert=MISSING)),
        target("wss://127.0.0.1", Tls(key=MISSING)),
        *(call(expand, [text]) for text in ("here", "127.0.0.9-127.0.0.2", "10.0.0.0/8", "127.0.0.1-::1")),
        call(expand, [f"10.0.0.0-10.0.{LIMIT // 256}.0"]),
    ],
    "Server log": [
        call(LogReader, format="xml"),
        call(LogReader, format="xml", option="--format"),
        *(
            call(LogReader, format=text)
            for text in ("%(levelname)s", "%(message)s %(message)s", "%(name)s%(thread)d %(message)s")
        ),
        call(source_of, "no-such-folder/server.log"),
        call(source_of, "."),
        call(command_words, "no-such-program --follow", COMMAND_OPTION),
        call(command_words, "docker 'logs", COMMAND_OPTION),
        call(load_rules, MISSING),
        call(load_rules, MISSING, option="--rules"),
        call(parse_rules, "rule = 1", "rules.toml", option="--rules"),
        call(parse_rules, '[[rule]]\nclass = "graceful"', "rules.toml", option="--rules"),
        call(parse_since, "yesterday", 0),
        lambda: list(read(MISSING, LogReader())),
        lambda: list(read(MISSING, LogReader(), option="--server-log")),
    ],
    "loadtest serve": [
        server(host="0.0.0.0"),
        server(port=70_000),
        *(server(**{name: -1.0}) for name in ("push_every_s", "inactivity_timeout_s", "ping_interval_s")),
        server(ping_timeout_s=0.0),
        server(token="se cret"),
        *(
            server(faults=faults)
            for faults in (
                *(("explode",), ("lose_reply",), ("lose_reply=2",), ("lose_reply=x",)),
                *(("latency_tail=0.1:x",), ("forget_session=1",), ("lose_reply=0", "lose_reply=1")),
            )
        ),
        server(mode="ack", faults=("forget_message=0.1",)),
    ],
    "loadtest duel": [
        side(),
        side(url="ws://h", command="x"),
        side(url="ftp://h"),
        side(url="ws://user:secret@h"),
        side(command="serve 'unclosed"),
        side(command="''"),
        side(url="ws://h", revision=" "),
        duel(b=Side(role="b", revision="v41", url="ws://h")),
        duel(
            a=Side(role="a", revision="v41", url="ws://h/v1"),
            b=Side(role="b", revision="v42", url="ws://h/v2?key=secret"),
        ),
        duel(a=A, b=Side(role="b", revision="v42", url="ws://h/v2")),
        duel(pairs=0),
        duel(restart_every=-1),
        duel(users=0),
        duel(duration_s=0),
        duel(duration_s=12),
        duel(duration_s=60, arguments=("--ws-warmup", "55")),
        duel(duration_s=9, arguments=("--ws-warmup=0",)),
        duel(arguments=("--ws-warmup", "long")),
        duel(start_timeout_s=math.nan),
        duel(locustfile=Path("nowhere.py")),
        duel(arguments=("--host=ws://h",)),
        duel(arguments=("--ws-margin=p50=8%",)),
        duel(arguments=("-t", "5s")),
        duel(arguments=("--ws-baseline", "v1")),
        call(parse_duration, "1.5m"),
    ],
}


def message(case: Callable[[], object]) -> str:
    """Return the error of a case."""
    with pytest.raises(InvalidSetting) as refused:
        case()
    assert refused.value.exit_code == UsageError.exit_code
    return str(refused.value)


def test_every_error_reads_well(golden: Golden, monkeypatch: pytest.MonkeyPatch) -> None:
    """Each names the option as typed, what is allowed, and the value unless it is secret."""
    monkeypatch.setattr(Dialect, "dialects", {"echo": Echo, "emergence": Emergence})  # without other tests'
    lines = []
    for group, cases in GROUPS.items():
        lines += [group, "=" * len(group), *map(message, cases), ""]
    text = "\n".join(lines)
    assert "secret" not in text
    assert not re.search(r"\b(is|are) no\b", text)
    golden("option-errors.txt", text)


def test_a_long_value_is_cut_short() -> None:
    """A whole file that was given by mistake does not fill the screen."""
    assert len(message(call(Whole(0, 1).read, "x" * 10_000, "--n"))) < 300
    assert len(message(call(Number(0, 1).read, [1] * 10_000, "--n"))) < 300


def test_options_in_errors_and_texts_exist() -> None:
    """Modules that name an option in a text name one of the table, or of `loadtest serve`."""
    known = {row.option for row in SETTINGS.values()} | {"--ws-implementation"}
    for path in (ROOT / "loadtest").rglob("*.py"):
        named = set(re.findall(r"--ws-[a-z][a-z-]*[a-z]", path.read_text(encoding="utf-8")))
        assert named <= known, path
