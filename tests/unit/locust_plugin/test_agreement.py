"""What a run asks of its user classes together."""

from __future__ import annotations

from typing import Any

import pytest

from loadtest.errors import InvalidSetting, UsageError
from loadtest.locust_plugin.agreement import OF_THE_RUN, agree, check_names, check_pings, misspelled
from loadtest.options import SETTINGS


def values(**changes: Any) -> dict[str, Any]:
    """Return the values of a class that sets these."""
    return {name: row.default for name, row in SETTINGS.items()} | changes


def test_what_one_class_sets_all_have() -> None:
    """A class that sets nothing takes it."""
    both = {"Chat": values(), "Market": values(revision="v2", drills=("60:deploy",), rate=5)}
    agree(both)
    assert both["Chat"]["revision"] == "v2"
    assert both["Chat"]["drills"] == ("60:deploy",)
    assert both["Chat"]["rate"] == SETTINGS["rate"].default


@pytest.mark.parametrize("attribute", OF_THE_RUN)
def test_a_run_has_one_value(attribute: str) -> None:
    """Two classes that set different ones are refused; the same one is fine."""
    one, other = {attribute: "a"}, {attribute: "b"}
    why = r"it applies to the whole run\. Set it with --ws-"
    problem = rf"^Chat and Market must have the same {attribute}: {why}"
    with pytest.raises(UsageError, match=problem):
        agree({"Chat": values(**one), "Market": values(**other)})
    agree({"Chat": values(**one), "Market": values(**one)})


def test_a_ping_timeout_needs_pings() -> None:
    """Of one class at least: the option is that of all. The default does not count as given."""

    check_pings([(0.0, 20.0), (0.0, 20.0)])
    check_pings([(0.0, 5.0), (10.0, 5.0)])
    with pytest.raises(InvalidSetting, match=r"^--ws-ping-timeout must be given together with --ws-ping"):
        check_pings([(0.0, 20.0), (0.0, 5.0)])


@pytest.mark.parametrize("name", ["Chat/a", "Ünï\nx|y", "<script>", "1st", "", "a b", "A" * 101])
def test_names_that_no_class_statement_gives_are_refused(name: str) -> None:
    """A histogram's tag, a file's line and a table's cell would be torn by them."""
    check_names(["Chat", "Ünï_1", "A" * 100])
    with pytest.raises(UsageError, match="user class name must be an identifier") as refused:
        check_names(["Chat", name])
    assert str(refused.value).isprintable()


def test_attributes_that_are_nearly_settings_are_told() -> None:
    """They have no effect; attributes of the user's own, methods and settings are left alone."""
    base = type("Base", (), {"sessions": 1, "rate": 1.0})
    chat = type("Chat", (base,), {"sesions": 3, "rate": 2, "model": "x", "session": lambda self: None})
    child = type("Child", (chat,), {"warm_up_s": 3})
    assert list(misspelled(child, base)) == [
        "Child.warm_up_s is not a setting and has no effect. Did you mean warmup_s?",
        "Chat.sesions is not a setting and has no effect. Did you mean sessions?",
    ]
