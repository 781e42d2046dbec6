"""Settings, from option, environment, web form and user class to the engine's plan and run.json."""

from __future__ import annotations

import argparse
import contextlib
import shlex
from pathlib import Path
from typing import Any

import msgspec
import pytest

from loadtest.dialects.base import Dialect
from loadtest.dialects.dialect_session import DialectSession
from loadtest.dialects.echo import Echo
from loadtest.drops.plan import DropPlan, OnceInTurn, Storm
from loadtest.errors import DialectMistake, InvalidSetting
from loadtest.events import Data
from loadtest.locust_plugin.load_settings import (
    LoadSettings,
    TokenSettings,
    check_rows,
    load_settings,
)
from loadtest.locust_plugin.parser import forget_overridden_login, given_values
from loadtest.locust_plugin.planned_moments import check_drills
from loadtest.login_options import LOGIN, overridden
from loadtest.options import LOCUST_OPTIONS, SETTINGS, command_options
from loadtest.results.manifest import Plan, comparability_hash
from loadtest.scrubber import NO_SECRETS, without_secrets
from loadtest.statistics.margins import GATES, parse_margins

EARLY, LATE = Storm(at_s=10.0, share_ratio=0.2, kind="fin"), Storm(at_s=30.0, share_ratio=0.5)


def settings_of(**values: Any) -> LoadSettings:
    """Return the settings of a user class; attributes not told are those of `WebSocketUser`."""
    usual = {attribute: row.default for attribute, row in SETTINGS.items()}
    return load_settings(usual | {"revision": "v1"} | values, "ws://127.0.0.1:9")


def given(*texts: str) -> dict[str, Any]:
    """Return what the options say where --ws-storm was given so many times."""
    return given_values(argparse.Namespace(ws_storm=list(texts) or None))


def test_by_default_there_is_no_storm() -> None:
    """Neither in the plan of the engine nor in the manifest."""
    settings = settings_of()
    assert settings.engine.drops == DropPlan()
    assert settings.plan.storms == ()
    assert given() == {}


@pytest.mark.parametrize(
    "storms",
    ["50%@30,0.2@10:fin", ("0.5@30", "0.2@10:fin"), given("0.5@30", "0.2@10:fin")["storms"]],
    ids=["text", "texts", "options"],
)
def test_storms_are_in_the_engines_plan_and_in_run_json(storms: Any) -> None:
    """However they are given, engine and manifest hold the same storms, in the order of time."""
    settings = settings_of(storms=storms, seed=7)
    assert settings.engine.drops == DropPlan(seed=7, storms=(EARLY, LATE))
    assert settings.plan.storms == (EARLY, LATE)
    assert settings.plan.drops_planned


def test_drills_have_their_moments_in_the_plan() -> None:
    """Their commands differ between revisions, so that the plan does not hold them."""
    settings = settings_of(drills=["60:deploy b", "30:deploy a"], drill_window_s="30")
    assert [(one.at_s, one.command) for one in settings.drills] == [(30, "deploy a"), (60, "deploy b")]
    assert settings.drill_window_s == 30
    assert settings.plan.drills_at_s == (30, 60)
    others = settings_of(drills=["30:other", "60:other"])
    assert others.plan == settings.plan
    hashes = {comparability_hash(settings_of(drills=drills).plan) for drills in ("", "30:a", "31:a")}
    assert len(hashes) == 3
    assert comparability_hash(settings.plan) == comparability_hash(others.plan)


def test_drills_are_checked_before_the_run() -> None:
    """A program that does not exist, a quote without its end, a moment at the run's end."""
    check_drills(settings_of(drills="29.9:sh -c 'exit 0'").drills, 30.0, secrets=NO_SECRETS)
    check_drills(settings_of(drills="1e5:sh").drills, None, secrets=NO_SECRETS)
    for drill, problem in (
        ("1:no-such-program-here now", r"--ws-at program not found \(got 'no-such-program-here'\)"),
        ("1:sh -c 'exit", r"--ws-at must be quoted as for a shell"),
        ("30:sh -c 'exit 0'", r"--ws-at must come before the end of the run \(--run-time 30s\) \(got .30:sh"),
    ):
        with pytest.raises(InvalidSetting, match=problem):
            check_drills(settings_of(drills=drill).drills, 30.0, secrets=NO_SECRETS)


def test_a_drill_that_comes_too_late_shows_no_secret_of_the_settings() -> None:
    """Its error is logged."""
    settings = settings_of(drills="30:sh deploy s3cret-of-the-run", token="s3cret-of-the-run")
    with pytest.raises(InvalidSetting, match=r"\(got '30:sh deploy \*\*\*'\)"):
        check_drills(settings.drills, 30.0, secrets=settings.secrets)


def test_the_cleanup_time_is_the_options_or_the_dialects() -> None:
    """It sets how long half-open connections are held, and makes no two runs incomparable."""

    class Tidy(Echo):
        cleanup_s = 40.0

    assert settings_of().engine.config.cleanup_s is None
    assert settings_of(dialect=Tidy).engine.config.cleanup_s == 40
    given_too = settings_of(dialect=Tidy, cleanup_timeout_s="3")
    assert (given_too.engine.config.cleanup_s, given_too.cleanup_timeout_s) == (3, 3)
    assert given_too.plan == settings_of(dialect=Tidy).plan


def test_the_servers_gauge_is_checked_before_the_run() -> None:
    """What is no URL#NAME is refused; TLS is that of the other options."""
    assert settings_of().gauge is None
    gauge = settings_of(server_metrics="https://127.0.0.1/metrics#ws", tls_insecure=True).gauge
    assert gauge is not None
    assert (str(gauge), gauge.tls is not None) == ("https://127.0.0.1/metrics#ws", True)
    with pytest.raises(InvalidSetting, match="--ws-server-metrics must be URL#NAME"):
        settings_of(server_metrics="http://127.0.0.1/metrics")


def test_storms_make_runs_incomparable_and_their_order_does_not() -> None:
    """Who compares runs compares the same storms."""
    hashes = [comparability_hash(settings_of(storms=storms).plan) for storms in ("", "1@5,1@6", "1@6,1@5")]
    assert hashes[0] != hashes[1] == hashes[2]


def test_storms_without_any_other_drops_are_drops() -> None:
    """A plan of a storm alone drops sessions on purpose."""
    assert settings_of(storms="0.5@30", drop_every_s=0.0).plan.drops_planned
    assert not settings_of(drop_every_s=0.0).plan.drops_planned


def test_a_plan_of_ones_own_keeps_its_storms_until_others_are_asked_for() -> None:
    """Storms are added to a user's own plan; a cleared field of the web form takes them away."""
    own = OnceInTurn(4.0, storms=(EARLY,))
    assert settings_of(drops=own).engine.drops is own
    assert settings_of(drops=own, storms="0.5@30").engine.drops == OnceInTurn(4.0, storms=(LATE,))
    assert settings_of(drops=own, **given("")).engine.drops == OnceInTurn(4.0)


@pytest.mark.parametrize(
    "margins",
    ["p50=8%,outage=50ms", ("p50=8%", "outage=50ms")],
    ids=["text", "texts"],
)
def test_margins_are_settings_and_no_part_of_the_plan(margins: Any) -> None:
    """However they are given; runs that are judged by others stay comparable."""
    settings, usual = settings_of(margins=margins), settings_of()
    assert settings.gates == parse_margins(["p50=8%,outage=50ms"])
    assert usual.gates == GATES
    assert settings.plan == usual.plan


def test_allowed_losses_are_settings_and_no_part_of_the_plan() -> None:
    """As typed or as an attribute; without any, every loss fails."""
    typed = given_values(argparse.Namespace(ws_allow_losses=["1006=any", "2/h"]))
    settings, usual = settings_of(**typed), settings_of()
    assert list(map(str, settings.allowances)) == ["1006=any", "2/h"]
    assert settings_of(allow_losses="1006=any 2/h").allowances == settings.allowances
    assert usual.allowances == ()
    assert settings.plan == usual.plan


@pytest.mark.parametrize(
    "headers", [{"X-A": "1", "X-B": "2"}, [("X-A", "1"), ("X-B", "2")], ["X-A: 1", "X-B:2"]], ids=str
)
def test_headers_are_pairs_or_texts(headers: Any) -> None:
    """A mapping, pairs, or texts as the option takes them."""
    assert settings_of(headers=headers).engine.headers == (("X-A", "1"), ("X-B", "2"))


def test_one_text_is_one_value() -> None:
    """A text where several may be given is not taken for its letters."""
    settings = settings_of(server_logs="server.log", subprotocols="chat", source_ips="127.0.0.2")
    assert settings.log.paths == ("server.log",)
    assert settings.engine.subprotocols == ("chat",)
    assert settings.engine.source_ips == ("127.0.0.2",)


def test_whole_numbers_and_texts_are_numbers() -> None:
    """A plan is the same whether a locustfile says 2, 2.0 or "2"."""
    plans = [settings_of(rate=rate, drop_every_s=rate).plan for rate in (2, 2.0, "2")]
    assert len({comparability_hash(plan) for plan in plans}) == 1


@pytest.mark.parametrize(
    ("given", "kept"),
    [(64, 64), ("64", 64), ("64=9", 64), ("100000=1,64=9", "64=9,100000=1"), ({64: 9, 100_000: 1.0}, None)],
    ids=str,
)
def test_sizes_of_messages_are_a_number_or_a_text_of_the_plan(given: Any, kept: int | str | None) -> None:
    """One size is the number it always was; a distribution has one text, however it was written."""
    assert settings_of(message_bytes=given).plan.message_bytes == (kept or "64=9,100000=1")


def test_a_whole_history_is_accepted_whatever_its_size() -> None:
    """The server may send the largest text as often as the dialect's window says, in one message."""

    def accepted(**values: Any) -> int:
        return settings_of(**values).engine.max_message_bytes

    assert accepted() == accepted(dialect="echo", message_bytes=2**20) == 2**24
    assert accepted(message_bytes={64: 9, 100_000: 1}) > 200 * 100_000
    assert accepted(message_bytes=2**20, max_message_bytes=1000) == 1000


@pytest.fixture
def accounts(tmp_path: Path) -> Path:
    """A data file of two rows."""
    path = tmp_path / "accounts.csv"
    path.write_text("user,password\nanna,s3cret-one\nben,s3cret-two\n")
    return path


def test_rows_of_data_are_for_the_sessions_and_their_values_are_secrets(accounts: Path) -> None:
    """With the token, the headers and the path's query, which are secrets as before."""
    settings = settings_of(
        data=str(accounts), token="t0ken", headers={"X-Key": "header-key"}, path="/?k=query-key"
    )
    assert [row["user"] for row in settings.engine.config.data] == ["anna", "ben"]
    text = "anna, s3cret-one, s3cret-two, t0ken, header-key, query-key"
    assert without_secrets(text, settings.secrets) == ", ".join(["***"] * 6)


@pytest.mark.parametrize(
    ("content", "values", "own"),
    [
        ("user,secret\nanna,1\nben,1\n", {}, True),
        ("user,secret\nanna,1\nanna,1\n", {}, False),
        ("token,room\nt0,1\nt1,1\n", {"token": "shared"}, True),
        ("token,room\nt0,1\nt0,2\n", {}, False),
        ("room\n1\n2\n", {"token": "shared"}, False),
        ("room\n1\n2\n", {"token_cmd": "print-token"}, False),
        (None, {"token": lambda: "maybe one for all"}, False),
    ],
)
def test_whether_sessions_have_credentials_of_their_own(
    content: str | None, values: dict[str, Any], own: bool, tmp_path: Path
) -> None:
    """Only where rows tell them apart; one token for all does not, nor do rows that are alike."""
    if content is not None:
        (tmp_path / "rows.csv").write_text(content)
        values = values | {"data": tmp_path / "rows.csv"}
    assert settings_of(**values).own_credentials is own


def test_data_is_no_part_of_the_plan(accounts: Path) -> None:
    """Like a token: runs with other accounts, on another tenant or host, are comparable."""
    with_data, without = settings_of(data=accounts), settings_of()
    assert with_data.plan == without.plan
    assert without.engine.config.data == ()
    assert without_secrets("anna", without.secrets) == "anna"


@pytest.mark.parametrize(("sessions", "users"), [(1, 2), (2, 1), (1, 0)])
def test_each_session_has_its_row(accounts: Path, sessions: int, users: int) -> None:
    """Enough rows are enough; without a file none are needed."""
    check_rows(settings_of(data=accounts, sessions=sessions), users)
    check_rows(settings_of(sessions=100), 100)


@pytest.mark.parametrize(("sessions", "users"), [(1, 3), (3, 1), (100, 100)])
def test_too_few_rows_are_refused(accounts: Path, sessions: int, users: int) -> None:
    """Two sessions must not share an account unseen."""
    with pytest.raises(InvalidSetting, match=f"--ws-data has 2 rows for {sessions * users:,} sessions: add"):
        check_rows(settings_of(data=accounts, sessions=sessions), users)


def test_every_field_of_the_plan_has_its_setting() -> None:
    """A setting of the plan is in Plan, and a field of Plan is a setting or one of Locust's own."""
    of_settings = [row.plan_field for row in SETTINGS.values() if row.in_plan]
    assert sorted([*of_settings, *LOCUST_OPTIONS, "tasks", "version"]) == sorted(Plan.__struct_fields__)


def test_a_plan_is_as_comparable_as_ever() -> None:
    """The default plan has the hash that it had before there was a table of settings."""
    plan = msgspec.structs.replace(
        settings_of(sessions=10, rate=5).plan, users=5, spawn_rate=5.0, duration_s=15.0, version=1
    )
    assert comparability_hash(plan) == "ad4b924faf0596cb1b7fd8d1995b6ad0c108bd68600d80b604913d13903b3b4b"


def test_the_options_of_a_plan_repeat_it() -> None:
    """Read again, the command's options give the same plan, to the last digit."""
    odd = {
        "rate": 0.1234567891,
        "drops": "fin=0.3333333,close",
        "storms": "0.3@7.25:fin",
        "arrivals": "poisson",
        "message_bytes": {100_000: 0.1234567891, 64: 9},
    }
    before = settings_of(**odd, backoff="constant(0.7)", seed=-3, path="/a'b?c={session_id}").plan
    words = shlex.split(" ".join(command_options(msgspec.structs.asdict(before))))
    parser = argparse.ArgumentParser()
    for row in SETTINGS.values():
        if row.name:
            parser.add_argument(row.option, dest=row.destination)
    assert settings_of(**given_values(parser.parse_args(words))).plan == before


def test_a_dialect_must_have_a_name() -> None:
    """It stands in run.json and in reports; the error says what to write."""

    class Nameless(Dialect):
        def read(self, session: DialectSession, data: Data) -> None:
            """Read nothing."""

    with pytest.raises(DialectMistake) as caught:
        settings_of(dialect=Nameless)
    assert str(caught.value) == (
        'mistake in the dialect: Nameless.name is missing: add name = "nameless" to the class'
    )


@pytest.mark.parametrize("path", [None, "/v2/chat?token=hunter22secret"])
def test_a_path_in_the_host_is_the_endpoints(path: str | None) -> None:
    """It is requested and is part of the plan; the values of its query are secrets, as in --ws-path."""
    usual = {attribute: row.default for attribute, row in SETTINGS.items()}
    host = "ws://127.0.0.1:9/v2/chat?token=hunter22secret"
    settings = load_settings(usual | {"path": path}, host)
    assert settings.engine.config.dialect.path == settings.plan.path == "/v2/chat?token=hunter22secret"
    assert str(settings.engine.target) == "ws://127.0.0.1:9"
    assert "hunter22secret" not in without_secrets(host, settings.secrets)


def test_a_path_in_the_host_must_be_that_of_the_option() -> None:
    """Which of two was meant cannot be known."""
    with pytest.raises(
        InvalidSetting, match=r"--host has the path /v2, but .* has /v1\. Set the path in one place only"
    ):
        load_settings(
            {attribute: row.default for attribute, row in SETTINGS.items()} | {"path": "/v1"}, "ws://h/v2"
        )


def test_a_token_command_is_no_part_of_the_plan() -> None:
    """Its time is that of an attempt; a session whose token it renews may come back after 4401."""
    settings = settings_of(token_cmd="print-token --for me", token_ttl_s="50", open_timeout_s=3)
    assert settings.token == TokenSettings(command="print-token --for me", ttl_s=50.0, timeout_s=3.0)
    assert 4401 not in settings.engine.config.forbidding_codes
    assert 4401 in settings_of().engine.config.forbidding_codes
    assert settings_of().token is None
    assert settings.plan == settings_of(open_timeout_s=3).plan


def test_the_stronger_source_says_how_to_log_in() -> None:
    """The command line overrides the environment, and both the user class, whichever way each logs in."""
    both = {"token": "abc", "token_cmd": "print-token", "token_ttl_s": "50"}
    for typed in ({"token": "x"}, {"token_cmd": "x"}, {"token_cmd": "x", "token_ttl_s": "9"}):
        for below in ({"token": "abc"}, {"token_cmd": "print-token", "token_ttl_s": "50"}, both):
            merged = overridden(dict.fromkeys(LOGIN) | below, typed)
            kept = {name: value for name, value in merged.items() if value}
            if "token_cmd" in typed and "token_ttl_s" in below:
                assert kept == {"token_ttl_s": "50"} | typed
            else:
                assert kept == typed
    assert overridden({"token": "abc"}, {"rate": 1}) == {"token": "abc", "rate": 1}
    assert overridden({}, both) == both, "two of one source are refused"


@pytest.mark.parametrize(
    ("outside", "typed", "left"),
    [
        ({"token": "abc"}, {"token_cmd": "print"}, {"token_cmd"}),
        ({"token_cmd": "print", "token_ttl_s": "9"}, {"token": "abc"}, {"token"}),
        ({"token": "abc", "token_cmd": "print"}, {}, {"token", "token_cmd"}),
        ({}, {"token": "abc", "token_cmd": "print"}, {"token", "token_cmd"}),
        ({"token": "abc"}, {}, {"token"}),
    ],
)
def test_the_command_line_overrides_the_environment(
    outside: dict[str, str], typed: dict[str, str], left: set[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    """Locust's parser has both in the same place; two of the same source stay, and are refused."""
    for name, value in outside.items():
        monkeypatch.setenv(SETTINGS[name].variable, value)
    parsed = {SETTINGS[name].destination: value for name, value in (outside | typed).items()}
    options = argparse.Namespace(**parsed)
    forget_overridden_login(options)
    assert given_values(options).keys() == left


@pytest.mark.parametrize(("column", "refused"), [("token", True), ("name", False)])
def test_a_column_of_tokens_and_a_token_command(column: str, refused: bool, tmp_path: Path) -> None:
    """The sessions would never send the command's token; it would be renewed for refusals of theirs."""
    data = tmp_path / "rows.csv"
    data.write_text(f"{column}\nvalue-of-the-row\n")
    told = pytest.raises(InvalidSetting, match=r"--ws-token-cmd must not be .* column `token` in --ws-data")
    with told if refused else contextlib.nullcontext() as refusal:
        settings_of(token_cmd="print-token", data=str(data))
    assert "value-of-the-row" not in str(refusal and refusal.value)
    settings_of(token_cmd="print-token", data=str(data), dialect="echo")


@pytest.mark.parametrize(
    ("values", "problem"),
    [
        ({"token_cmd": "print-token", "token": "abc"}, "--ws-token-cmd must not be given together with"),
        ({"token_ttl_s": 50}, "--ws-token-ttl must be given together with --ws-token-cmd"),
        ({"token_cmd": "print-token", "token_ttl_s": 0.5}, "--ws-token-ttl must be 1–86400 seconds"),
    ],
)
def test_token_settings_that_contradict_each_other(values: dict[str, Any], problem: str) -> None:
    """They are refused before the first connection, and the token is not quoted."""
    with pytest.raises(InvalidSetting, match=problem) as refusal:
        settings_of(**values)
    assert "abc" not in str(refusal.value)


def test_values_of_common_headers_are_no_secrets() -> None:
    """To hide `keep-alive` or `application/json` would garble the server's own words; a cookie is hidden."""
    settings = settings_of(
        headers=["Connection: keep-alive", "Accept: application/json", "Cookie: sid=s3cr3t-value"]
    )
    text = "keep-alive ping timeout, wants application/json, sid s3cr3t-value"
    assert (
        without_secrets(text, settings.secrets) == "keep-alive ping timeout, wants application/json, sid ***"
    )
