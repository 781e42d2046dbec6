"""Locust's page: whom it answers, what a request may set, and that no answer holds a secret."""

import json
from collections.abc import Mapping
from typing import Any

import pytest
from flask import Flask, Response, jsonify, make_response, request
from flask.testing import FlaskClient
from flask_cors import CORS

from loadtest.errors import InvalidSetting
from loadtest.locust_plugin.web import Names, guard
from loadtest.scrubber import Secrets

TOKEN = "t0ken/with+slash"
PAGE = "<p>t</p><script>\n window.templateArgs = {}\n window.theme = 1</script>"


def _check(form: Mapping[str, str]) -> None:
    if form.get("ws_rate") == "bad":
        raise InvalidSetting("--ws-rate", "bad", "must be a number")


@pytest.fixture
def seen() -> list[dict[str, str]]:
    """The forms that came through."""
    return []


@pytest.fixture
def client(seen: list[dict[str, str]]) -> FlaskClient:
    """A page like Locust's, guarded."""
    app = Flask(__name__)
    CORS(app)

    @app.post("/swarm")
    def swarm() -> Response:
        seen.append(dict(request.form))
        return jsonify({"success": True, "host": f"ws://h?k={TOKEN}"})

    @app.post("/user")
    def user() -> Response:
        return make_response("", 201)

    @app.get("/")
    def page() -> str:
        arguments = {
            "extra_options": {"ws_token": {"is_secret": True, "default_value": "not-known-yet"}},
            "host": f"ws://h?k={TOKEN}</script>",
            "history": [{"time": "12:00:00"}],
        }
        return PAGE.format(json.dumps(arguments).replace("<", "\\u003c"))

    @app.get("/logs")
    def logs() -> Response:
        return jsonify({"master": [f"quoted t0ken\\/with+slash and {TOKEN}"], "workers": {TOKEN: [1, None]}})

    @app.get("/csv")
    def csv() -> Response:
        return make_response(f"a,{TOKEN}", 200, {"Content-Type": "text/csv"})

    @app.get("/error")
    def error() -> Response:
        return make_response(f"no {TOKEN}", 500)

    guard(
        app,
        names=Names("load.example.org", "https://proxy.example.org/locust"),
        check=_check,
        shown_host=lambda: "ws://h?k=***",
        secrets=lambda: Secrets([TOKEN]),
    )
    return app.test_client()


@pytest.mark.parametrize(
    ("host", "status"),
    [
        ("localhost:8089", 200),
        ("127.0.0.1:8089", 200),
        ("[::1]:8089", 200),
        ("192.168.1.5", 200),
        ("LOAD.example.org:8089", 200),
        ("proxy.example.org", 200),
        ("evil.example.org:8089", 421),
        ("localhost.evil.example", 421),
        ("127.0.0.1.evil.example", 421),
        ("", 421),
    ],
)
def test_only_its_own_names_are_answered(client: FlaskClient, host: str, status: int) -> None:
    """A browser deceived by DNS rebinding asks for the attacker's name; addresses cannot be taken so."""
    answer = client.get("/logs", headers={"Host": host})
    assert answer.status_code == status
    assert (b"--web-host" in answer.data) == (status == 421)


@pytest.mark.parametrize(
    "origin",
    [
        *("http://evil.example", "null", "", "https://localhost:1", "http://localhost:80", "http://[x"),
        *("https://proxy.example.org.evil.example", "https://load.example.org", "proxy.example.org"),
    ],
)
def test_other_origins_are_refused(client: FlaskClient, origin: str) -> None:
    """A page of somebody else can neither send a form nor read an answer."""
    headers = {"Host": "localhost:8089", "Origin": origin}
    assert client.post("/swarm", data={"user_count": "1"}, headers=headers).status_code == 403
    assert client.get("/logs", headers=headers).status_code == 403


def test_its_own_origin_is_answered_and_no_other_may_read(client: FlaskClient) -> None:
    """Locust allows every origin; without that header browsers allow only the page's own."""
    answer = client.get("/logs", headers={"Host": "localhost:8089", "Origin": "http://localhost:8089"})
    assert answer.status_code == 200
    assert "Access-Control-Allow-Origin" not in answer.headers


def test_a_proxy_may_ask_by_another_name(client: FlaskClient) -> None:
    """The page's origin is then the display name; nginx asks by the address unless told otherwise."""
    for headers in (
        {"Host": "127.0.0.1:8089", "Origin": "https://proxy.example.org"},
        {"Host": "127.0.0.1:8089", "Origin": "https://proxy.example.org:8443"},
        {"Host": "proxy.example.org", "Origin": "https://proxy.example.org"},
    ):
        assert client.post("/swarm", data={"user_count": "1"}, headers=headers).status_code == 200


def test_without_a_display_name_no_other_origin_is_the_page() -> None:
    """An origin without a host is not that of a page without a display name."""
    for origin in ("null", "", "http://[x", "https://proxy.example.org"):
        assert not Names("127.0.0.1", None).has_origin(origin, "127.0.0.1:8089")


@pytest.mark.parametrize("path", ["/", "/logs", "/csv", "/error"])
def test_no_answer_holds_a_secret(client: FlaskClient, path: str) -> None:
    """Pages, data, tables and errors, in every spelling; and what is no secret stays."""
    shown = client.get(path).get_data(as_text=True)
    assert "***" in shown
    for spelling in ("with+slash", "not-known-yet", "with\\u002bslash"):
        assert spelling not in shown


def test_a_page_stays_a_page(client: FlaskClient) -> None:
    """What a script reads is data as before, and cannot end the script."""
    shown = client.get("/").get_data(as_text=True)
    arguments: dict[str, Any] = json.loads(shown.split("templateArgs = ")[1].split("\n")[0])
    assert arguments["host"] == "ws://h?k=***</script>"
    assert arguments["history"] == [{"time": "12:00:00"}]
    assert arguments["extra_options"]["ws_token"]["default_value"] is None
    assert shown.count("</script>") == 1


def test_a_secret_left_empty_keeps_its_value(client: FlaskClient, seen: list[dict[str, str]]) -> None:
    """The page does not show a secret, so an empty field says nothing; nor does the host as it is shown."""
    form = {"ws_token": "", "ws_header": "", "ws_rate": "2", "host": "ws://h?k=***"}
    assert client.post("/swarm", data=form).get_json() == {"success": True, "host": "ws://h?k=***"}
    client.post("/swarm", data={"ws_token": "new", "host": "ws://other"})
    assert seen == [{"ws_rate": "2"}, {"ws_token": "new", "host": "ws://other"}]


def test_a_bad_form_is_refused_with_the_reason(client: FlaskClient, seen: list[dict[str, str]]) -> None:
    """The form's fields are checked before Locust uses them."""
    answer = client.post("/swarm", data={"ws_rate": "bad"}).get_json()
    assert answer["success"] is False
    assert answer["message"].startswith("--ws-rate must be a number")
    assert seen == []


@pytest.mark.parametrize(
    ("body", "status"),
    [
        ({"user_class_name": "Chat", "weight": 2, "host": "ws://h", "fixed_count": 1, "tasks": []}, 201),
        ({"user_class_name": "Chat", "token_cmd": "touch x"}, 400),
        ({"user_class_name": "Chat", "results": "/etc"}, 400),
        (["Chat"], 400),
        (None, 400),
    ],
)
def test_a_user_class_takes_only_what_the_page_sets(client: FlaskClient, body: object, status: int) -> None:
    """Locust sets any attribute that a request names: a command to run, a folder to write to."""
    answer = client.post("/user", data=json.dumps(body), content_type="text/plain")
    assert answer.status_code == status
