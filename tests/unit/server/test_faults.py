"""How faults are written."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from loadtest.errors import InvalidSetting
from loadtest.server.faults import HISTORY_FAULTS, KNOWN, parse_faults, usage
from loadtest.server.server_settings import ServerSettings


@pytest.mark.parametrize(
    "text",
    [
        "lose",
        "",
        "=",
        "lose_reply",
        "lose_reply=",
        "lose_reply=1.1",
        "lose_reply=-0.1",
        "lose_reply=nan",
        "lose_reply=1:2",
        "latency=inf",
        "latency_tail=0.1",
        "latency_tail=2:10",
        "forget_session=1",
        "cut_history=0.5",
        "decompose",
        "database_down=-1",
    ],
)
def test_a_malformed_fault_is_refused_with_what_to_write(text: str) -> None:
    """The message names the option and the value."""
    with pytest.raises(InvalidSetting) as refused:
        parse_faults([text])
    assert str(refused.value).startswith("--fault ")
    assert f"(got {refused.value.value!r})" in str(refused.value)
    assert str(refused.value.value) in text


def test_an_unknown_fault_names_the_known_ones() -> None:
    """The hint shows how each is written."""
    with pytest.raises(InvalidSetting) as refused:
        parse_faults(["explode"])
    assert all(usage(name) in str(refused.value) for name in KNOWN)


@pytest.mark.parametrize("fault", sorted(HISTORY_FAULTS))
def test_faults_of_the_history_need_one(fault: str) -> None:
    """With `--mode ack` the server would be sound in spite of the fault, so it refuses to start."""
    text = usage(fault).replace("RATIO", "0.5")
    assert ServerSettings(faults=(text,)).faults == (text,)
    with pytest.raises(InvalidSetting, match="--fault needs --mode chat"):
        ServerSettings(mode="ack", faults=("lose_reply=0.1", text))


def test_a_fault_given_twice_is_refused() -> None:
    """There is no rule by which one of two values would win."""
    with pytest.raises(InvalidSetting, match="each fault once"):
        parse_faults(["latency=1", "latency=2"])


@given(
    st.lists(st.one_of(st.text(max_size=30), st.sampled_from(sorted(KNOWN)).map(lambda name: f"{name}=0.5")))
)
def test_any_text_is_a_fault_or_is_refused(texts: list[str]) -> None:
    """Parsing never fails in another way, and what it accepts has the values its usage names."""
    try:
        faults = parse_faults(texts)
    except InvalidSetting:
        return
    assert all(len(values) == len(KNOWN[name]) for name, values in faults.items())


def test_a_misspelt_fault_is_recognised() -> None:
    """The likely name comes before the list of all."""
    with pytest.raises(
        InvalidSetting, match=r"is unknown: did you mean lose_reply\? It must be one of refuse_"
    ):
        parse_faults(["loose_reply=0.1"])
