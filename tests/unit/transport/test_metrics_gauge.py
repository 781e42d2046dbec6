"""What `--ws-server-metrics` accepts, and what is never quoted."""

from contextlib import suppress

import pytest
from hypothesis import given
from hypothesis import strategies as st

from loadtest.errors import InvalidSetting
from loadtest.transport.metrics_gauge import MetricsGauge
from loadtest.transport.target import Tls
from tests.support.effort import effort

URL = "http://127.0.0.1:9000/metrics"


@pytest.mark.parametrize(
    ("selector", "name", "labels"),
    [
        ("ws_connections", "ws_connections", {}),
        ('ws:up{app="chat"}', "ws:up", {"app": "chat"}),
        ('up{app="a b",x="1"}', "up", {"app": "a b", "x": "1"}),
    ],
)
def test_a_name_may_have_labels(selector: str, name: str, labels: dict[str, str]) -> None:
    """The name is that of a sample, with the labels that it must have."""
    gauge = MetricsGauge.parse(f"{URL}#{selector}", Tls())
    assert (gauge.url, gauge.name, gauge.labels) == (URL, name, labels)
    assert str(gauge) == f"{URL}#{selector}"


@pytest.mark.parametrize(
    "given_text",
    [
        URL,
        f"{URL}#",
        f"{URL}#two names",
        f"{URL}#a{{",
        f"{URL}#a#b",
        f"{URL}#a\nb",
        "ftp://127.0.0.1/#a",
        "http:///metrics#a",
        "http://127.0.0.1:0/#a",
        "http://127.0.0.1:99999/#a",
        "http://127.0.0.1/a b#a",
        "http://127.0.0.1/a\nb#a",
        "http://[::1/#a",
        "ws_connections",
    ],
)
def test_anything_else_is_refused(given_text: str) -> None:
    """The error says what is expected."""
    with pytest.raises(InvalidSetting, match=r"^--ws-server-metrics must be URL#NAME, for example http://"):
        MetricsGauge.parse(given_text, Tls())


@pytest.mark.parametrize("selector", ["ws_conn{app=a}", 'a{x="1", app=a}', "ws_conn{app='a'}"])
def test_a_label_without_quotes_is_named_as_such(selector: str) -> None:
    """Prometheus' own pages have them in quotes, but a shell removes those."""
    with pytest.raises(InvalidSetting, match="must have each label's value in quotes"):
        MetricsGauge.parse(f"{URL}#{selector}", Tls())


def test_credentials_are_refused_and_queries_are_not_quoted() -> None:
    """Neither stands in an error or in a file."""
    with pytest.raises(InvalidSetting, match="must not contain credentials") as refused:
        MetricsGauge.parse("http://user:swordfish@127.0.0.1/#a", Tls())
    assert "swordfish" not in str(refused.value)
    with pytest.raises(InvalidSetting) as refused:
        MetricsGauge.parse("http://127.0.0.1/?token=swordfish#a b", Tls())
    assert "swordfish" not in str(refused.value)
    assert "swordfish" not in str(MetricsGauge.parse("http://127.0.0.1/?token=swordfish#a", Tls()))


@given(st.text(max_size=60))
@effort(200)
def test_no_text_surprises_the_parser(text: str) -> None:
    """Any selector is accepted or refused as such."""
    with suppress(InvalidSetting):
        MetricsGauge.parse(f"{URL}#{text}", Tls())
