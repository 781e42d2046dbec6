"""The options of Locust's parser that guard what its own would show."""

import configargparse
import pytest

from loadtest.duel.locust_runs import NOT_INHERITED
from loadtest.locust_plugin.parser import add_options, given_values


def _parser() -> configargparse.ArgumentParser:
    """A parser like Locust's, as far as these options need it."""
    parser = configargparse.ArgumentParser(prog="locust", default_config_files=[])
    parser.add_argument("--web-host", default="", help="Defaults to '*' (all interfaces)")
    add_options(parser)
    return parser


@pytest.mark.parametrize(
    ("typed", "said"),
    [
        (["--ws-tokn=s3cret", "--ws-hedder", "A: s3cret"], "--ws-tokn=*** --ws-hedder *** ***"),
        (["--ws-tokn", "-s3cret"], "unrecognized arguments: --ws-tokn ***"),
        (["--ws-tokn", "-s3=s3cret="], "unrecognized arguments: --ws-tokn ***"),
        (["--ws-tok=s3cret"], "ambiguous option: --ws-tok=*** could match --ws-token, --ws-token-cmd"),
        (["--ws-tok=s3cret could match s3cret"], "ambiguous option: --ws-tok=*** could match --ws-token"),
        (["--ws-tok", "s3cret"], "ambiguous option: --ws-tok could match --ws-token, --ws-token-cmd"),
        (["--ws-tls-insecure=s3cret\n's3cret"], "--ws-tls-insecure: ignored explicit argument ***"),
        (["--ws-token"], "argument --ws-token: expected one argument"),
    ],
)
def test_a_misspelled_option_shows_no_value(
    typed: list[str], said: str, capsys: pytest.CaptureFixture[str]
) -> None:
    """What follows, or what is joined to it, may be a token, whatever the option was meant to be."""
    with pytest.raises(SystemExit):
        _parser().parse_args(typed)
    shown = capsys.readouterr().err
    assert said in shown
    assert "s3" not in shown


def test_the_page_is_on_this_machine_only() -> None:
    """Locust's own default is all interfaces; whoever wants them asks for them, and the help says so."""
    assert _parser().parse_args([]).web_host == "127.0.0.1"
    assert _parser().parse_args(["--web-host", "*"]).web_host == "*"
    assert "'*' for all interfaces [default: 127.0.0.1]" in " ".join(_parser().format_help().split())


def test_the_exit_code_has_the_name_of_the_commands_too() -> None:
    """`loadtest report` and others call it so."""
    for name in ("--ws-inconclusive-exit", "--inconclusive-exit"):
        assert given_values(_parser().parse_args([name, "0"])) == {"inconclusive_exit": "0"}


def test_runs_of_a_duel_leave_nothing_for_ci(monkeypatch: pytest.MonkeyPatch) -> None:
    """What the environment asks for is the duel's to leave."""
    for name, value in NOT_INHERITED.items():
        monkeypatch.setenv(name, value)
    assert given_values(_parser().parse_args([])) == {}
    monkeypatch.setenv("LOCUST_WS_GITHUB", "true")
    monkeypatch.setenv("LOCUST_WS_SUMMARY", "s.md")
    assert given_values(_parser().parse_args([])) == {"github": True, "summary_file": "s.md"}
