"""Commands as people and files see them: what may be a secret in one is hidden."""

from __future__ import annotations

import shlex

import pytest
from hypothesis import given
from hypothesis import strategies as st

from loadtest.command_lines import COMMAND_LENGTH, public_command
from loadtest.scrubber import Secrets


@pytest.mark.parametrize(
    ("command", "shown"),
    [
        ("deploy --token abc123 --now", "deploy --token *** --now"),
        ("deploy --api-key 'a b' x", "deploy --api-key *** x"),
        ("login --pass X --pwd=X PASSPHRASE=X ./go", "login --pass *** --pwd=*** PASSPHRASE=*** ./go"),
        ("curl -sSu me:X url -H 'X-Api-Key: X Y' x", "curl -sSu *** url -H 'X-Api-Key: ***' x"),
        ("mysql -pX db; docker login -u me -p X", "mysql -p*** db; docker login -u me -p ***"),
        ("sh -c 'DB_PASSWORD=X ./deploy'", "sh -c 'DB_PASSWORD=*** ./deploy'"),
        ("ssh host 'password=X Y' next", "ssh host password=*** next"),
        ("curl https://ann:X@host/x https://host/y", "curl https://***@host/x https://host/y"),
        ("deploy eyJhbGciOi.vwxyzefgh.x 'jwt, X'", "deploy [secret removed] 'jwt, ***'"),
        ("deploy known123-of-the-run", "deploy ***-of-the-run"),
        ("deploy 'unclosed --token X", "deploy 'unclosed --token ***'"),
    ],
)
def test_secrets_of_a_command_are_hidden(command: str, shown: str) -> None:
    """Known ones wherever they stand, others by the names before them; the rest stays readable."""
    assert public_command(command, Secrets(["known123"])) == shown


@pytest.mark.parametrize(
    "command",
    [
        "gcloud auth login",
        "gcloud run deploy chat --image reg/chat:v2 --allow-unauthenticated --region eu --memory=1Gi",
        "kubectl rollout restart deployment/chat",
        "kubectl create secret generic chat",
        "docker pull reg/chat:v2@sha256:0abc",
        "docker login -u me reg:5000",
        "deploy --monkey banana --author ann --path /x -v https://host:8080/x",
        "git clone git@github.com:a/b",
        "sh -c 'kill $(cat pid) && python app.py --port 80'",
        "curl -d 'a b' \"c d\" --user me",
    ],
)
def test_a_command_without_secrets_is_shown_as_it_is(command: str) -> None:
    """What it says is why it stands in a report."""
    assert public_command(command) == command


NAMES = st.sampled_from(
    [
        *("token", "pass", "pwd", "password", "passphrase", "secret", "api-key", "apikey", "auth"),
        *("DB_PASSWORD", "dbPassword", "SSH_PASS", "APIKey", "X-Auth", "credentials", "cookie", "pin"),
    ]
)
PLAIN = st.text(st.characters(min_codepoint=33, max_codepoint=126), max_size=8)
SPACED = st.text(st.characters(min_codepoint=32, max_codepoint=0x2FF), max_size=8)


def places(name: str, value: str) -> list[list[str]]:
    """Return commands, as words, each with this secret value in another place."""
    return [
        ["deploy", f"--{name}", value, "--now"],
        ["deploy", f"-{name}", value],
        ["deploy", f"--{name}={value}"],
        ["env", f"{name}={value}", "deploy"],
        ["helm", "--set", f"a=b,db.{name}={value}"],
        ["curl", "-H", f"{name}: {value}"],
        ["curl", "-d", f'{{"x": 1, "{name}": "{value}"}}'],
        ["curl", f"https://host/?page=1&{name}={value}"],
        ["curl", "-u", f"me:{value}"],
        ["curl", "-sSu", f"me:{value}"],
        ["curl", f"-ume:{value}"],
        ["curl", f"--user=me:{value}"],
        ["mysql", f"-p{value}"],
        ["sshpass", "-p", value],
        ["python", "-c", f"{name} = {value!r}"],
    ]


@given(NAMES, SPACED, st.integers(0, 2))
def test_a_secret_is_hidden_wherever_it_stands(name: str, middle: str, depth: int) -> None:
    """After each kind of name, with spaces and quotes in it, in commands within commands too."""
    for words in places(name, f"S3C{middle}R3T"):
        for wrapper in (["sh", "-c"], ["ssh", "host"]):
            command = shlex.join(words)
            for _ in range(depth):
                command = shlex.join([*wrapper, command])
            shown = public_command(command)
            assert "S3C" not in shown, command
            assert "R3T" not in shown, command
            assert shown.startswith(wrapper[0] if depth else words[0])


@given(PLAIN)
def test_a_password_in_a_url_is_hidden(middle: str) -> None:
    """With whatever a URL should not have in it."""
    secret = f"S3C{middle}R3T"
    for url in (f"https://me:{secret}@host/x", f"https://{secret}@host", f"me:{secret}@host"):
        shown = public_command(f"sh -c {shlex.quote(f'curl {shlex.quote(url)} next')}")
        assert "S3C" not in shown
        assert "R3T" not in shown


@given(st.text() | st.text(st.sampled_from("ab'\"\\ =:-@p\n")))
def test_any_text_gives_one_line(text: str) -> None:
    """Whatever its quotes."""
    assert len(public_command(text)) <= COMMAND_LENGTH
    assert public_command(text).isprintable()
