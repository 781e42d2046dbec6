"""The revision of the server under test: which source names it, and what a server cannot make of it."""

from __future__ import annotations

import json
import logging
from collections.abc import Mapping
from importlib import metadata
from typing import Any

import pytest

from loadtest.locust_plugin.load_settings import load_settings
from loadtest.locust_plugin.revision import Revision, find_revision
from loadtest.options import SETTINGS
from loadtest.results.directory import folder_name
from loadtest.results.environment import DISTRIBUTION
from loadtest.results.revision_name import LONGEST
from loadtest.results.said_revision import SaidRevision
from loadtest.transport.http_health import Answer, Health

HEALTH, ENDPOINT = "/api/health", "/ws/revision"

CI = {"GITHUB_SHA": "0a1b2c3", "CI_COMMIT_SHA": "ffffff"}


class Server:
    """A server under test, as answers by path.

    Attributes:
        asked: the paths that were asked.
    """

    def __init__(self, answers: Mapping[str, Answer] | None = None) -> None:
        self.asked: list[str] = []
        self._answers = answers or {}

    def ask(self, path: str) -> Answer:
        """Answer a request."""
        self.asked.append(path)
        return self._answers.get(path, answer(path, status=404))


def answer(
    path: str = HEALTH, body: object = "", *, status: int | None = 200, problem: str = "", **headers: str
) -> Answer:
    """Return an answer; a body that is no bytes is sent as JSON, and _ in a header's name as -."""
    return Answer(
        health=Health(path=path, status=status, problem=problem),
        headers=tuple((name.replace("_", "-"), value) for name, value in headers.items()),
        body=body if isinstance(body, bytes) else json.dumps(body).encode(),
    )


def found(
    server: Server,
    environment: Mapping[str, str] | None = None,
    health_path: str | None = HEALTH,
    *,
    probed: bool = False,
    own_server: bool = False,
    **values: Any,
) -> Revision:
    """Return the revision of a run against this server."""
    usual = {attribute: row.default for attribute, row in SETTINGS.items()}
    settings = load_settings(usual | values, "ws://127.0.0.1:1")
    return find_revision(
        settings,
        server.ask,
        health_path=health_path,
        probed=probed,
        own_server=own_server,
        environment=environment or {},
    )


@pytest.mark.parametrize(
    ("given", "body", "said"),
    [
        ("9.9.9", {"version": "1.2.3"}, "1.2.3"),
        ("9.9.9", {"version": "1.2.3", "commit": "0a1b2c3d"}, "1.2.3"),
        ("0a1b2c", {"version": "0a1b2c3d"}, "0a1b2c3d"),
        ("1.2", {"version": "1.2.3"}, "1.2.3"),
        ("1.4-7", {"version": "1.4+7"}, "1.4-7-542f404e"),
    ],
)
def test_the_one_that_is_given_is_taken_and_a_server_that_says_another_is_told(
    given: str, body: object, said: str, caplog: pytest.LogCaptureFixture
) -> None:
    """Whatever CI says: it decides nothing, but is kept."""
    revision = found(Server({HEALTH: answer(body=body)}), CI, revision=f" {given} ")
    assert revision == Revision(
        given, "--ws-revision", SaidRevision(name=said, source="version in GET /api/health")
    )
    (record,) = caplog.records
    assert record.levelno == logging.WARNING
    assert record.getMessage() == (
        f"--ws-revision is {given}, but the server says {said} (version in GET /api/health)"
    )


@pytest.mark.parametrize(
    ("given", "body"),
    [
        ("1.2.3", {"version": "1.2.3"}),
        ("v1.2.3", {"version": "1.2.3"}),
        ("0a1b2c3", {"version": "1.2.3", "commit": "0A1B2C3D4E5F"}),
        ("feature/login", {"version": "feature/login"}),
        ("v1.4+7", {"version": "1.4+7"}),
        ("1.2.3", {}),
        ("1.2.3", b"<html>"),
    ],
)
def test_a_server_that_says_what_was_given_or_nothing_is_no_warning(
    given: str, body: object, caplog: pytest.LogCaptureFixture
) -> None:
    """A shortened commit, or one of several fields, is the same."""
    revision = found(Server({HEALTH: answer(body=body)}), revision=given)
    assert (revision.name, revision.source) == (given, "--ws-revision")
    assert (revision.said is None) == (not isinstance(body, dict) or not body)
    assert not caplog.records


def test_the_header_decides_what_the_server_says(caplog: pytest.LogCaptureFixture) -> None:
    """If one is named and comes; without one and without a health endpoint, nobody is asked."""
    server = Server({HEALTH: answer(body={"version": "v1"}, X_Version="v3")})
    assert found(server, revision="v1", revision_header="X-Version").said == SaidRevision(
        name="v3", source="header X-Version of GET /api/health"
    )
    assert "but the server says v3" in caplog.text
    server = Server()
    assert found(server, CI, None, revision="v1") == Revision("v1", "--ws-revision")
    assert server.asked == []


def test_a_header_comes_before_what_the_health_endpoint_says() -> None:
    """Whatever the status, and whatever the case of its name."""
    server = Server({HEALTH: answer(body={"version": "v2"}, status=503, x_VERSION="v3")})
    revision = found(server, CI, revision_header="X-Version")
    assert revision == Revision("v3", "header X-Version of GET /api/health")
    assert server.asked == [HEALTH]


def test_a_header_is_asked_for_at_the_endpoint_too() -> None:
    """Without a session's own values; where there is no health endpoint, only there."""
    answers = {HEALTH: answer(), ENDPOINT: answer(ENDPOINT, status=426, X_Version="v3")}
    for health_path, asked in ((HEALTH, [HEALTH, ENDPOINT]), (None, [ENDPOINT])):
        server = Server(answers)
        revision = found(server, CI, health_path, revision_header="X-Version")
        assert revision == Revision("v3", "header X-Version of GET /ws/revision")
        assert server.asked == asked


@pytest.mark.parametrize("first", ["", " ", "unknown"])
def test_a_header_that_comes_twice(first: str) -> None:
    """The first value that names a revision is taken."""
    twice = Answer(
        health=Health(path=HEALTH, status=200),
        headers=(("X-Rev", first), ("x-rev", "v3"), ("X-Rev", "v4")),
    )
    revision = found(Server({HEALTH: twice}), CI, revision_header="X-Rev")
    assert revision == Revision("v3", "header X-Rev of GET /api/health")


def test_a_header_that_does_not_come_is_told(caplog: pytest.LogCaptureFixture) -> None:
    """With those that came, without secrets; the next source is taken."""
    caplog.set_level(logging.INFO, "loadtest")
    server = Server({HEALTH: answer(body={"commit": "c1"}, Server="uvicorn", X_Version="", t0ps3cret="1")})
    revision = found(server, revision_header="X-Version", token="t0ps3cret")
    assert revision == Revision("c1", "commit in GET /api/health")
    told, said = (record.getMessage() for record in caplog.records)
    assert told == (
        "--ws-revision-header X-Version was not found: GET /api/health: HTTP 200 after 0 ms; "
        "GET /ws/revision: HTTP 404 after 0 ms. Headers received: server, x-version, ***"
    )
    assert said == "the revision is c1 (commit in GET /api/health)"


@pytest.mark.parametrize(
    ("body", "name", "field"),
    [
        ({"commit": "c", "revision": "r", "version": "v"}, "v", "version"),
        ({"commit": "c", "revision": "r"}, "r", "revision"),
        ({"commit": "c", "version": ""}, "c", "commit"),
        ({"version": 42}, "42", "version"),
        ({"version": 1.5}, "1.5", "version"),
        (b'{"version":1.10}', "1.10", "version"),
        (b'{"version": 20260101000000000001 }', "20260101000000000001", "version"),
        (b'{"version": 1e400, "commit": "c"}', "c", "commit"),
        ({"version": "unnamed", "commit": "abc"}, "abc", "commit"),
        ({"version": "Unknown", "revision": " ", "commit": "abc"}, "abc", "commit"),
        ({"version": "unknown"}, None, None),
        ({"version": "unknown-7"}, "unknown-7", "version"),
        ({"version": {"major": 1}, "commit": "c"}, "c", "commit"),
        ({"version": True, "revision": None, "commit": ["x"]}, None, None),
        ({"app": {"version": "v"}}, None, None),
        (["version"], None, None),
        (b'{"version": "v', None, None),
        (b'{"version": "\xff\xfe"}', None, None),
        (b"[" * 100_000, None, None),
        (b'{"version":' + b"[" * 100_000, None, None),
        (b"", None, None),
    ],
)
def test_the_health_endpoint_names_it(body: object, name: str | None, field: str | None) -> None:
    """In the first of three fields that is a text or a number; anything else is none, and CI's is taken."""
    revision = found(Server({HEALTH: answer(body=body)}), CI)
    expected = Revision(name, f"{field} in GET /api/health") if name else Revision("0a1b2c3", "GITHUB_SHA")
    assert revision == expected


@pytest.mark.parametrize("status", [None, 301, 404, 503])
def test_an_endpoint_that_is_not_healthy_names_none(status: int | None) -> None:
    """The version in an error may be that of a proxy."""
    assert found(Server({HEALTH: answer(body={"version": "v2"}, status=status)})).name == "unnamed"


def test_ci_names_the_commit() -> None:
    """GitHub before GitLab; an empty variable is none. Without a health endpoint nobody is asked."""
    server = Server()
    assert found(server, CI, None) == Revision("0a1b2c3", "GITHUB_SHA")
    assert found(server, {**CI, "GITHUB_SHA": " "}, None) == Revision("ffffff", "CI_COMMIT_SHA")
    assert server.asked == []


def test_without_a_name_it_is_unnamed_and_the_reason_told(caplog: pytest.LogCaptureFixture) -> None:
    """With what to do, and what the health endpoint answered, without what it echoes of a secret."""
    server = Server({HEALTH: answer(status=None, problem="BadStatusLine: t0ps3cret")})
    assert found(server, token="t0ps3cret") == Revision("unnamed", "")
    (record,) = caplog.records
    assert record.levelno == logging.WARNING
    assert record.getMessage() == (
        "the server's revision is unknown, so this run will not be a baseline: set --ws-revision NAME; "
        "GET /api/health: BadStatusLine: *** after 0 ms"
    )


def test_a_healthy_server_that_names_no_version_is_told_so(caplog: pytest.LogCaptureFixture) -> None:
    """HTTP 200 alone is no reason."""
    assert found(Server({HEALTH: answer(body={"status": "ok"})})).name == "unnamed"
    assert (
        caplog.records[0]
        .getMessage()
        .endswith("; GET /api/health: HTTP 200 after 0 ms, but no version in it")
    )


def test_the_reference_server_has_the_version_of_the_tool(caplog: pytest.LogCaptureFixture) -> None:
    """Nobody need name it: no warning, no request, and not the commit of a CI job. A given name holds."""
    server, name = Server(), f"loadtest-{metadata.version(DISTRIBUTION)}"
    assert found(server, CI, own_server=True) == Revision(name, "the reference server")
    assert server.asked == []
    assert [record.levelno for record in caplog.records if record.levelno > logging.INFO] == []
    assert found(server, CI, own_server=True, revision="v42") == Revision("v42", "--ws-revision")


def test_without_a_health_endpoint_the_attribute_that_names_one_is_told(
    caplog: pytest.LogCaptureFixture,
) -> None:
    """A probe has another option, and needs no baseline."""
    assert found(Server(), health_path=None, dialect="echo").name == "unnamed"
    assert found(Server(), health_path=None, probed=True, dialect="echo").name == "unnamed"
    why = "the dialect echo has no health endpoint (health_path)"
    assert [record.getMessage() for record in caplog.records] == [
        "the server's revision is unknown, so this run will not be a baseline: set --ws-revision NAME; "
        + why,
        f"the server's revision is unknown: set --revision NAME; {why}",
    ]


@pytest.mark.parametrize(
    ("said", "name"),
    [
        ("v1.2.3-rc.1_x", "v1.2.3-rc.1_x"),
        ("  (v1.2)\n", "v1.2"),
        ("feature/login #7 ", "feature-login-7-6471fd6d"),
        ("../../etc/passwd", "etc-passwd-af896a5f"),
        ("v1\x1b[2J\u202e\x00</script>", "v1-2J-script-f6ccce5c"),
        ("\u2603", "unnamed"),
        ("Bearer t0ps3cret", "unnamed"),
    ],
)
def test_a_servers_text_becomes_a_name_for_a_folder(said: str, name: str) -> None:
    """Of plain characters only; a text with one of the run's secrets is not taken."""
    revision = found(Server({HEALTH: answer(body={"version": said})}), token="t0ps3cret")
    assert revision.name == name == folder_name(name)


@pytest.mark.parametrize(("one", "other"), [("1.4+7", "1.4-7"), ("feature/x", "feature-x"), ("a b", "a  b")])
def test_texts_that_are_cleaned_alike_are_two_revisions(one: str, other: str) -> None:
    """Else a run would be compared with one of its own revision."""
    names = {found(Server({HEALTH: answer(body={"version": said})})).name for said in (one, other, f"{one} ")}
    assert len(names) == 2


@pytest.mark.parametrize(
    ("status", "headers", "told"),
    [(401, {}, True), (403, {}, True), (403, {"authorization": "Bearer abcdefgh"}, False), (404, {}, False)],
)
def test_an_endpoint_that_wants_a_token(
    status: int, headers: dict[str, str], told: bool, caplog: pytest.LogCaptureFixture
) -> None:
    """The warning says that none is sent, unless a header is one."""
    assert found(Server({HEALTH: answer(status=status)}), headers=headers).name == "unnamed"
    (record,) = caplog.records
    assert f"HTTP {status}" in record.getMessage()
    assert record.getMessage().endswith(", without a token: only --ws-header headers are sent") is told


def test_a_long_text_is_cut_and_stays_itself() -> None:
    """Two that differ at their ends only are two revisions."""
    names = [
        found(Server({HEALTH: answer(body={"version": "registry.example/app@sha256:" + end * 64})})).name
        for end in ("a", "b")
    ]
    shared = "registry.example-app-sha256-"
    cut = found(Server({HEALTH: answer(body={"version": f"{'a' * 100}1"})})).name
    other = found(Server({HEALTH: answer(body={"version": f"{'a' * 100}2"})})).name
    assert all(name.startswith(shared) and len(name) <= LONGEST for name in names)
    assert len({*names, cut, other}) == 4
    assert len(cut) == len(other) == LONGEST
