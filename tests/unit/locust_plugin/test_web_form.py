"""The start form: what it shows of each setting."""

from argparse import Namespace
from typing import Any

from loadtest.locust_plugin.web_form import FormField, start_form
from loadtest.options import SETTINGS, TABLE

_Defaults = type("Defaults", (), {name: row.default for name, row in SETTINGS.items()})
"""A user class that sets nothing."""


def fields(given: dict[str, Any] | None = None, **attributes: Any) -> dict[str, FormField]:
    """Return the fields by name, of a user class with these attributes and these options given."""
    destinations = {row.destination: None for row in SETTINGS.values()}
    common = {"num_users": 3, "spawn_rate": None, "run_time": 90}
    options = Namespace(**{**destinations, **common, **(given or {})})
    form = start_form(options, [type("Chat", (_Defaults,), attributes)], "wss://h")
    assert form.elsewhere == ""
    return {one.name: one for group in form.groups for one in group.fields}


def test_groups_are_those_of_the_table() -> None:
    """Locust's own fields first; a group without fields is left out."""
    options = Namespace(num_users=1, spawn_rate=1, run_time=None)
    titles = [group.title for group in start_form(options, [_Defaults], None).groups]
    with_fields = [
        group for group, rows in TABLE.items() if any(row.name and row.in_web_form for row in rows)
    ]
    assert titles == ["Run", *with_fields]


def test_locusts_own_fields() -> None:
    """Users, rate, host and run time as they are now."""
    found = fields()
    values = [found[name].value for name in ("user_count", "spawn_rate", "host", "run_time")]
    assert values == ["3", "1", "wss://h", "90s"]


def test_what_a_request_must_not_set_is_not_shown() -> None:
    """Options that name files, commands or a port."""
    hidden = {row.destination for row in SETTINGS.values() if not row.in_web_form}
    assert hidden & fields().keys() == set()
    assert "ws_prometheus" in hidden


def test_defaults() -> None:
    """The setting's default, or the value of the user class."""
    assert fields()["ws_rate"].default == "1"
    assert fields(rate=5.0)["ws_rate"].default == "5"
    assert fields(path="/chat")["ws_path"].default == "/chat"
    assert fields(dialect=object())["ws_dialect"].default == "set in the user class"


def test_values_are_those_given() -> None:
    """On the command line, or in the form before."""
    assert fields({"ws_rate": "2"})["ws_rate"].value == "2"
    assert fields({"ws_storm": ["0.5@10", "0.5@20"]})["ws_storm"].value == "0.5@10,0.5@20"
    assert fields({"ws_keep_going": True})["ws_keep_going"].value == "on"
    assert fields({"ws_keep_going": False})["ws_keep_going"].value == ""
    assert fields()["ws_keep_going"].kind == "flag"
    assert fields()["ws_arrivals"].choices == ("constant", "poisson", "closed")


def test_no_secret_is_shown() -> None:
    """Neither an option's nor the user class's; only that there is one."""
    for found in (fields({"ws_token": "s3cret-token"}), fields(token="s3cret-token")):
        token = found["ws_token"]
        assert (token.kind, token.value, token.default) == ("secret", "", "set; leave empty to keep it")
        assert "s3cret" not in str(found)
    assert fields()["ws_token"].default == "none"
