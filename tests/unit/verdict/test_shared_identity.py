"""One token for all sessions is nobody's defect; a server that mixes up sessions fails `connect`."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace

import msgspec
import pytest

from loadtest.results.data import RunData
from loadtest.results.identities import SharedIdentities
from loadtest.results.manifest import Promises
from loadtest.ruling import Ruling
from loadtest.session.recorder import Lifecycle
from loadtest.verdict.items import Item
from loadtest.verdict.log_evidence import ServerLogEvidence
from loadtest.verdict.run import judge
from tests.support.rulings import ruling, told
from tests.support.runs import gathered, interval, manifest, plan, sound

SAID = SharedIdentities(sessions=12, ids=1, strays=11, unsaid=0, pairs=(("s-1", "s-2", "anna"),))
UNSAID = SharedIdentities(sessions=4, ids=1, strays=3, unsaid=3, pairs=(("s-1", "s-2", "s-1"),))
CONFUSED = {"messaging.unmatched": 2131, "persistence.foreign": 3}


def sharing(
    shared: SharedIdentities | None,
    changes: Mapping[str, int] | None = None,
    path: str = "",
    *,
    own_credentials: bool = False,
) -> RunData:
    """Return the data of a run with these shared identities."""
    of = manifest(run_plan=plan(path=path or "/ws/{session_id}"), own_credentials=own_credentials)
    return replace(sound(changes, of=of), shared_identities=shared)


def rulings(run: RunData) -> dict[str, Ruling]:
    """Return the verdict of each judged item."""
    items = judge(run).items
    return {item.item: item.verdict for item in items if item.verdict is not Ruling.NOT_JUDGED}


def test_one_token_that_made_all_sessions_one() -> None:
    """Nothing passes and nothing fails, not even the log; what is not judged stays so."""
    run = sharing(SAID, CONFUSED)
    log = Item(item="server_log", verdict=Ruling.FAIL, summary="errors", evidence=ServerLogEvidence())
    items = {item.item: item.verdict for item in judge(run, log_item=log).items}
    judged = ("connect", "stability", "messaging", "reconnect", "persistence", "server_log")
    assert items == {
        **dict.fromkeys(judged, Ruling.INCONCLUSIVE),
        **dict.fromkeys(("cleanup", "latency"), Ruling.NOT_JUDGED),
    }
    assert judge(run).exit_code == 4
    assert told("connect", run).startswith(
        "one token gave 12 sessions the same identity (the server's ids: anna for s-1 and s-2): give each "
        "session its own credentials with --ws-data; otherwise: "
    )
    for item in ("stability", "messaging", "reconnect", "persistence"):
        assert told(item, run).startswith("see connect: sessions share an identity; otherwise: ")
        assert "one token" not in told(item, run)


def test_some_tokens_that_are_the_same() -> None:
    """Then there is more than one session."""
    run = sharing(replace(SAID, ids=3))
    assert told("connect", run).startswith(
        "12 sessions share 3 ids, taken from their tokens (the server's ids: "
    )


def test_a_server_that_mixes_up_sessions_with_credentials_of_their_own_and_says_so() -> None:
    """It took none of the ids from one token: `connect` fails, and what follows from it is in doubt."""
    run = sharing(SAID, CONFUSED, own_credentials=True)
    assert rulings(run) == {
        "connect": Ruling.FAIL,
        "stability": Ruling.PASS,
        "messaging": Ruling.INCONCLUSIVE,
        "reconnect": Ruling.PASS,
        "persistence": Ruling.INCONCLUSIVE,
    }
    assert told("connect", run) == (
        "11 sessions were given the id of another session (anna for s-1 and s-2; two rows of --ws-data may "
        "log in as the same account)"
    )


def test_a_server_that_gives_each_account_its_own_session() -> None:
    """With credentials of their own and no id twice, nothing is wrong."""
    run = sharing(None, own_credentials=True)
    assert ruling("connect", run) is Ruling.PASS
    assert set(rulings(run).values()) == {Ruling.PASS}


def test_a_leak_fails_connect_alone() -> None:
    """What the sessions get that belongs to others follows from it."""
    run = sharing(UNSAID, CONFUSED)
    assert rulings(run) == {
        "connect": Ruling.FAIL,
        "stability": Ruling.PASS,
        "messaging": Ruling.INCONCLUSIVE,
        "reconnect": Ruling.PASS,
        "persistence": Ruling.INCONCLUSIVE,
    }
    leak = "identity leak: 3 sessions were given the id of another session (s-2 has the id of s-1)"
    assert told("connect", run) == leak
    assert judge(run).item("connect").evidence.counts["id_of_another"] == 3
    assert told("messaging", run).startswith("see connect: sessions share an identity; otherwise: ")
    both = sharing(UNSAID, {"connect.failed": 50, "connect.attempts": 150})
    assert told("connect", both).startswith(f"{leak}; 50 of 150 attempts failed")


@pytest.mark.parametrize("item", ["messaging.lost", "persistence.missing"])
def test_another_defect_beside_a_leak_fails_its_own_item(item: str) -> None:
    """A lost message is lost, whoever the server takes the session for."""
    assert ruling(item.partition(".")[0], sharing(UNSAID, {**CONFUSED, item: 1})) is Ruling.FAIL
    assert ruling(item.partition(".")[0], sharing(None, CONFUSED)) is Ruling.FAIL


@pytest.mark.parametrize(
    ("path", "leaks"),
    [
        ("/ws/s-1", False),
        ("/ws/s%2D1", False),
        ("/ws?room=s-1", True),
        ("/ws?room=***", True),
        ("/chat?v=***", True),
        ("/ws/{session_id}?v=***", True),
        ("/ws/s-10", True),
    ],
)
def test_sessions_that_all_ask_for_the_same_id(path: str, leaks: bool) -> None:
    """A server that gives what it is asked for leaks nothing."""
    run = sharing(UNSAID, path=path)
    assert ruling("connect", run) is (Ruling.FAIL if leaks else Ruling.INCONCLUSIVE)
    assert ("replace it with {session_id} in --ws-path" in told("connect", run)) is not leaks


def test_the_same_id_asked_for_in_a_value_that_is_hidden() -> None:
    """The run knows it from before; without that, or if there are other shared ids, it is a leak."""
    of = msgspec.structs.replace(manifest(run_plan=plan(path="/ws?room=s-1")), same_id_asked=True)
    assert of.plan.path == "/ws?room=***"
    asked = replace(sound(of=of), shared_identities=UNSAID)
    assert ruling("connect", asked) is Ruling.INCONCLUSIVE
    assert "all sessions asked for the same id (s-2 has the id of s-1)" in told("connect", asked)
    several = replace(asked, shared_identities=replace(UNSAID, ids=2))
    assert ruling("connect", several) is Ruling.FAIL


@pytest.mark.parametrize("identifies", [True, False])
def test_only_sessions_with_an_identity_share_one(identifies: bool) -> None:
    """Where sessions of a dialect have none, the ids that a server says are of no account."""
    promises = Promises(ordered=True, identifies=identifies, pushes=False)
    lifecycle = [Lifecycle(at_ns=1, event="connected", session=one, known_as="anna") for one in ("a", "b")]
    of = msgspec.structs.replace(manifest(), promises=promises)
    shared = gathered([interval(0, lifecycle=lifecycle)], of).shared_identities
    assert (shared is not None) is identifies
