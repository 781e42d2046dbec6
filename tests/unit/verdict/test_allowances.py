"""The rules of --ws-allow-losses: read as typed, refused with what is allowed."""

import math

import pytest
from hypothesis import given
from hypothesis import strategies as st

from loadtest.errors import InvalidSetting
from loadtest.verdict.allowances import Allowance, parse_allowances, rule_for


@pytest.mark.parametrize(
    ("text", "rule"),
    [
        ("0", Allowance()),
        ("5", Allowance(most=5)),
        ("1016", Allowance(most=1016)),
        ("2/h", Allowance(most=2, per_hour=True)),
        ("0.5/h", Allowance(most=0.5, per_hour=True)),
        ("any", Allowance(most=math.inf)),
        ("1006=any", Allowance((1006,), math.inf)),
        ("1012,1001=2/h", Allowance((1001, 1012), 2, per_hour=True)),
        ("4999=0", Allowance((4999,))),
    ],
)
def test_a_rule_is_read_and_written(text: str, rule: Allowance) -> None:
    """Its text gives the same rule again: a stored run is judged as it was."""
    assert parse_allowances([text]) == (rule,)
    assert parse_allowances([str(rule)]) == (rule,)


def test_rules_may_share_a_text() -> None:
    """An environment variable and a field of the web form hold one text."""
    assert parse_allowances(["1006=any 2/h", ""]) == parse_allowances(["1006=any", "2/h"])
    assert parse_allowances([]) == ()


@pytest.mark.parametrize(
    ("texts", "problem"),
    [
        (["many"], "must be N, N/h or any"),
        (["-1"], "must be N, N/h or any"),
        (["1.5"], "must be N, N/h or any"),
        (["2/m"], "must be N, N/h or any"),
        (["=5"], "must be N, N/h or any"),
        (["1006="], "must be N, N/h or any"),
        (["rst=5"], "must be N, N/h or any"),
        (["1006;1001=5"], "must be N, N/h or any"),
        (["\N{ARABIC-INDIC DIGIT FIVE}"], "must be N, N/h or any"),
        (["999=5"], "close codes must be 1000–4999"),
        (["1006,5000=5"], "close codes must be 1000–4999"),
        (["1006"], "is a close code, and needs a number: 1006=5"),
        (["4408"], "is a close code, and needs a number: 1006=5"),
        (["0/h"], "must be above 0 per session-hour, or just 0"),
        (["5", "any"], "must be given only once without close codes"),
        (["1006=5", "1001,1006=any"], "must name each close code once, and 1006 is twice"),
    ],
)
def test_what_is_no_rule_is_refused(texts: list[str], problem: str) -> None:
    """The error has the option, the rule as typed, and what is allowed."""
    with pytest.raises(InvalidSetting) as caught:
        parse_allowances(texts)
    assert (caught.value.option, caught.value.value) == ("--ws-allow-losses", texts[-1])
    assert problem in str(caught.value)


@given(st.text())
def test_any_text_is_read_or_refused(text: str) -> None:
    """A stored run may hold anything."""
    try:
        rules = parse_allowances([text])
    except InvalidSetting:
        return
    assert parse_allowances(map(str, rules)) == rules


def test_codes_go_before_the_rest() -> None:
    """A rule with codes covers these, the one without the others, and nothing allows what no rule covers."""
    rules = parse_allowances(["3", "1001,1006=any"])
    assert [rule_for(code, rules).amount for code in (1001, 1006, 1011)] == ["any", "any", "3"]
    assert rule_for(1011, rules[1:]) == Allowance()
