"""The session's state machine: its table, row by row, and what two machines on a fake link make of it."""

import pickle
from typing import Any, get_args

import pytest

from loadtest.dialects.base import Dialect
from loadtest.dialects.dialect_session import DialectSession
from loadtest.dialects.echo import Echo
from loadtest.errors import IllegalStep
from loadtest.events import (
    Data,
    Drained,
    EstablishTimedOut,
    Event,
    Hasten,
    Reconnect,
    Send,
    Started,
    Stopped,
    TokenAwaited,
)
from loadtest.session.machine import AFTERMATH_NS
from loadtest.session.reconnecting import OVERDUE_ATTEMPTS, REFUSED_S
from loadtest.session.recorder import HANGING_NS, Recorder
from loadtest.session.schedule import NS_PER_S, Backoff, Pace, parse_backoff
from loadtest.session.session_config import SessionConfig
from loadtest.session.state import State
from tests.support.fake_link import (
    BEATING,
    MS,
    STANDARD,
    EchoServer,
    FakeServer,
    Link,
    SilentServer,
    frame,
    session_config,
)
from tests.support.session_table import EXAMPLES, LEGAL, ROWS


def link_in(state: State) -> Link:
    """Return a link whose session is in this state; a draining one waits for the reply to request 0."""
    link = Link(BEATING)
    match state:
        case State.CONNECTING:
            link.tell(Started())
        case State.ESTABLISHING:
            link.tell(Started())
            link.open()
        case State.PROVING:
            link.tell(Started())
            link.open().hear()
        case State.STEADY:
            link.start()
        case State.STALLED:
            link.start().drop("slow_reader")
        case State.DROPPING:
            link.start().drop("half_open")
        case State.WAITING:
            link.start().lose()
        case State.DRAINING:
            link.start().send().stop()
        case State.ENDED:
            link.start().stop()
    assert link.session.state is state
    return link


class TestTable:
    """The table, row by row."""

    @pytest.mark.parametrize(
        ("state", "event", "after", "asked"), ROWS, ids=[f"{row[0]}-{type(row[1]).__name__}" for row in ROWS]
    )
    def test_row(self, state: State, event: Event, after: State, asked: list[str]) -> None:
        """Each event leads to the state that the table says, and asks for what it says."""
        link = link_in(state)
        actions = link.tell(event)
        assert (link.session.state, [type(action).__name__ for action in actions]) == (after, asked)

    def test_all_events_have_an_example(self) -> None:
        """The table written here knows every event."""
        assert EXAMPLES.keys() == set(get_args(Event))

    @pytest.mark.parametrize("state", State)
    def test_illegal_step_changes_nothing(self, state: State) -> None:
        """What has no row raises IllegalStep and leaves session, ledger and recorder as they were."""
        link = link_in(state)
        before = pickle.dumps(link.session)
        for kind, event in EXAMPLES.items():
            if (state, kind) not in LEGAL:
                with pytest.raises(IllegalStep, match=f"state {state} cannot take {kind.__name__}"):
                    link.session.handle(event, link.now_ns + 1)
                assert pickle.dumps(link.session) == before

    def test_changes_are_seen(self) -> None:
        """The comparison of the test above sees a message and a reply."""
        link = Link().start()
        before = pickle.dumps(link.session)
        link.send()
        sent = pickle.dumps(link.session)
        link.hear()
        assert before != sent != pickle.dumps(link.session) != before


class TestConnecting:
    """The first connection."""

    def test_connected(self) -> None:
        """A session that gets through is counted, timed by its phases, and its phases are kept."""
        link = Link().start()
        assert link.counted("connect") == {"attempts": 1, "established": 1}
        assert link.samples_ms("connect") == [4]
        (record,) = link.lived("connected")
        assert (record.tcp_ns, record.upgrade_ns, record.resume_ns) == (MS, 2 * MS, MS)

    def test_open_is_established_where_nothing_is_announced(self) -> None:
        """A dialect whose server announces nothing is established as soon as the WebSocket is open."""
        link = Link(session_config(dialect=Echo()), server=EchoServer())
        link.tell(Started())
        link.open()
        assert link.session.state is State.PROVING

    def test_greeting_goes_first(self) -> None:
        """What the client says first on each connection goes before any request, and is no request."""

        class Greeting(Echo):
            def greeting(self, session: DialectSession) -> tuple[Data, ...]:
                return ("hello", b"again")

        link = Link(session_config(dialect=Greeting()), server=SilentServer()).start()
        link.lose().send().retry().open()
        sent = [action.data for action in link.asked if isinstance(action, Send)]
        assert sent == ["hello", b"again", "hello", b"again", link.about.text(0)]
        assert link.counted("messaging")["sent"] == 1
        assert link.counted("messaging")["other_sent"] == 4

    def test_refused_until_given_up(self) -> None:
        """A session that is never let in tries once, then as often as its policy allows, and gives up."""
        link = Link(session_config(backoff=Backoff(max_attempts=5)))
        link.tell(Started())
        for _ in range(5):
            link.refuse().retry()
        link.refuse()
        assert link.finished
        assert link.delays_s == [1, 2, 4, 8, 8]
        assert link.counted("connect") == {"attempts": 6, "failed": 6, "gave_up": 1}
        assert link.errors("connect") == {"upgrade: http_503": "no room"}
        assert [record.final for record in link.lived("failed")] == [False] * 5 + [True]

    def test_no_policy_means_one_attempt(self) -> None:
        """With the policy `none` a refused session does not try again."""
        link = Link(session_config(backoff=parse_backoff("none")))
        link.tell(Started())
        link.refuse()
        assert link.finished
        assert link.counted("connect") == {"attempts": 1, "failed": 1, "gave_up": 1}

    def test_never_established(self) -> None:
        """A server that opens the WebSocket and says nothing has failed the attempt at the deadline."""
        link = link_in(State.ESTABLISHING)
        link.tell(EstablishTimedOut())
        assert not link.connected
        assert link.counted("connect") == {"attempts": 1, "failed": 1}
        assert list(link.errors("connect")) == ["established: establish_timeout"]

    @pytest.mark.parametrize("code", [4401, 1008, 4408])
    def test_forbidding_close_code(self, code: int) -> None:
        """A close code that forbids reconnecting ends a session that was never established."""
        link = link_in(State.ESTABLISHING).lose(code)
        assert link.finished
        assert link.counted("connect") == {"attempts": 1, "failed": 1, "gave_up": 1}

    def test_refused_token_that_can_be_renewed(self) -> None:
        """With another token to come 4401 ends no session: not before it was established, and not after."""
        link = Link(session_config(renews_token=True)).start()
        link.lose(4401).retry().open().lose(4401).resume()
        assert link.counted("reconnect") == {"outages": 1, "attempts": 2, "failed": 1, "resumed": 1}
        assert link.counts["losses.4401"] == 1
        assert link.lose(1008).finished, "other codes forbid what they forbade"

    @pytest.mark.parametrize(
        ("end", "rejected"),
        [
            (lambda link: link.refuse("http_401"), True),
            (lambda link: link.refuse("http_403"), True),
            (lambda link: link.refuse("login_failed"), True),
            (lambda link: link.refuse("login_error"), False),
            (lambda link: link.refuse("http_503"), False),
            (lambda link: link.open().lose(4401), True),
            (lambda link: link.open().lose(1011), False),
            (lambda link: link.open().hear_these([frame("ws:auth_required")]).lose(1000), True),
            (lambda link: link.open().hear().lose(4401), True),
            (lambda link: link.open().hear().last().lose(4401), True),
            (lambda link: link.open().hear().last().hear_these([frame("ws:auth_required")]).lose(), True),
            (lambda link: link.open().hear().last().lose(), False),
            (lambda link: link.open().hear().last().drop().detect(), False),
        ],
    )
    def test_rejected_token_is_named_with_the_wait(self, end: Any, rejected: bool) -> None:
        """The wait that follows says whether the server has rejected the token; the next one forgets it."""
        link = Link(session_config(renews_token=True))
        link.tell(Started())
        end(link)
        assert [wait.token_rejected for wait in link.asked if isinstance(wait, Reconnect)] == [rejected]
        link.retry().refuse()
        assert [wait.token_rejected for wait in link.asked if isinstance(wait, Reconnect)] == [
            rejected,
            False,
        ]

    @pytest.mark.parametrize(("cause", "renewals"), [("http_401", 6), ("http_403", 2), ("login_failed", 2)])
    def test_tokens_that_change_nothing(self, cause: str, renewals: int) -> None:
        """Where a refusal may have another reason, no third new token is asked for until one has helped."""
        link = Link(session_config(renews_token=True))
        link.tell(Started())
        for _ in range(6):
            link.refuse(cause).retry()
        rejected = [wait.token_rejected for wait in link.asked if isinstance(wait, Reconnect)]
        assert rejected == [True] * renewals + [False] * (6 - renewals)
        link.open().hear().last().lose().retry().refuse(cause)
        assert [wait.token_rejected for wait in link.asked if isinstance(wait, Reconnect)][-2:] == [
            False,
            True,
        ]

    def test_refused_token(self) -> None:
        """A token that the server refuses is the cause of the failure, in the server's own words."""
        link = link_in(State.ESTABLISHING)
        link.hear_these([frame("ws:auth_required", reason="token expired")]).lose(4401, "Unauthorized")
        assert link.finished
        assert link.errors("connect") == {"established: auth_required": "token expired"}

    def test_refused_token_ends_the_attempt_soon(self) -> None:
        """A server that leaves the socket open does not make the session wait for the timeout."""
        link = link_in(State.ESTABLISHING)
        refusal = frame("ws:auth_required", reason="token expired")
        link.hear_these([refusal, refusal])
        assert link.asked.count(Hasten(REFUSED_S)) == 1
        link.hear_these([frame("ws:session_established", session_id="session-0", thread_id="thread-0")])
        assert link.session.state is State.PROVING

    @pytest.mark.parametrize("end", [EstablishTimedOut(), Stopped()])
    def test_refused_token_on_a_connection_that_stays_open(self, end: EstablishTimedOut | Stopped) -> None:
        """A server that refuses without closing has answered: the run need not be longer to show why."""
        link = link_in(State.ESTABLISHING).hear_these([frame("ws:auth_required", reason="token expired")])
        link.tell(end)
        assert not link.connected
        assert link.counted("connect") == {"attempts": 1, "failed": 1}
        assert link.errors("connect") == {"established: auth_required": "token expired"}

    def test_refusal_of_an_established_session(self) -> None:
        """A token that is rejected later is told at once, and explains the loss that may follow."""
        link = Link().start().send().hear()
        link.hear_these([frame("ws:auth_required", reason="token expired")])
        assert link.counted("messaging")["rejections"] == 1
        assert link.errors("messaging") == {
            "token rejected after the session was established": "token expired"
        }
        link.lose(1000, "bye")
        assert [(record.cause, record.detail) for record in link.lived("lost")] == [("1000", "token expired")]
        link.resume().send().hear().lose(1000, "bye")
        assert [record.detail for record in link.lived("lost")] == ["token expired", "bye"]

    def test_refusal_is_of_its_connection(self) -> None:
        """A refused token explains the loss of its own connection, not of the next."""
        link = link_in(State.ESTABLISHING)
        link.hear_these([frame("ws:auth_required")]).lose(1000).retry().open().lose(1011)
        assert [record.cause for record in link.lived("failed")] == ["auth_required", "closed_1011"]

    def test_unreachable_counts_in_outages_only(self) -> None:
        """A server that was never there is a failed connection, not an outage of the server."""
        link = Link()
        link.tell(Started())
        link.refuse("refused", unreachable=True)
        assert "reconnect" not in {name.split(".")[0] for name in link.counts}


class TestOutages:
    """Drops, losses, and the way back."""

    def test_loss_and_resume(self) -> None:
        """A drop costs the reply under way; the session comes back as itself, with its history."""
        link = Link().start().send(3).hear().send().drop().detect().resume().send().hear()
        assert link.counted("messaging") == {"planned": 5, "sent": 5, "answered": 4, "lost_in_outage": 1}
        assert link.counted("reconnect") == {"outages": 1, "attempts": 1, "resumed": 1}
        assert link.counted("persistence") == {"checked": 1, "histories": 1, "acknowledged": 3}
        assert not link.recorded.errors

    def test_phases_of_an_outage(self) -> None:
        """An outage is told by its phases: until it was noticed, waiting, and from open to established."""
        link = Link().start().drop("half_open")
        link.now_ns += 700 * MS
        link.detect().retry().refuse().resume()
        (record,) = link.lived("resumed")
        assert (record.detect_ns, record.wait_ns) == (701 * MS, 3 * NS_PER_S)
        assert (record.attempt, record.tcp_ns, record.resume_ns) == (2, MS, MS)
        assert record.outage_ns == 707 * MS - MS
        assert link.samples_ms("outage") == [706]
        assert link.samples_ms("resume") == [4]  # the attempt that succeeded, from its first phase on
        assert len(link.samples_ms("connect")) == 1

    def test_backoff_grows_and_starts_anew(self) -> None:
        """The delays of an outage are the policy's, and the next outage begins with the first again."""
        link = Link().start().lose()
        for _ in range(4):
            link.retry().refuse()
        link.resume().lose()
        assert link.delays_s == [1, 2, 4, 8, 8, 1]

    def test_jitter_is_of_session_and_outage(self) -> None:
        """With jitter, two sessions and two outages wait differently, and a repeated run the same."""

        def delays_s() -> list[float]:
            recorder = Recorder()
            behaviour = session_config(backoff=Backoff(jitter="full"))
            links = [Link(behaviour, recorder=recorder).start().lose().resume().lose() for _ in range(2)]
            return [delay_s for link in links for delay_s in link.delays_s]

        assert len(set(delays_s())) == 4
        assert delays_s() == delays_s()

    def test_gives_up(self) -> None:
        """After as many failed attempts as the policy allows the session ends, and its outage with it."""
        link = Link(session_config(backoff=Backoff(max_attempts=2))).start().lose()
        link.retry().refuse("refused", unreachable=True).retry().refuse("timeout")
        assert link.finished
        assert link.counted("reconnect") == {
            "outages": 1,
            "attempts": 2,
            "failed": 2,
            "unreachable": 1,
            "gave_up": 1,
        }
        assert link.recorder.outages_open == 0

    def test_no_policy_means_no_way_back(self) -> None:
        """With the policy `none` the first loss is the end."""
        link = Link(session_config(backoff=parse_backoff("none"))).start().send().lose()
        assert link.finished
        assert link.counted("reconnect") == {"outages": 1, "gave_up": 1}
        assert link.counted("messaging")["lost_in_outage"] == 1
        assert [record.cause for record in link.lived("failed")] == ["no_reconnect"]

    @pytest.mark.parametrize("code", [4401, 1008, 4408])
    def test_forbidding_close_code(self, code: int) -> None:
        """A close code that forbids reconnecting is honoured on an established connection."""
        link = Link().start().send().lose(code, "go away")
        assert link.finished
        assert (link.counted("reconnect"), link.errors("reconnect")) == ({}, {})
        assert link.counted("stability") == {"barred": 1}
        assert link.counted("messaging")["lost_in_outage"] == 1
        assert link.counts[f"losses.{code}"] == 1
        assert [(record.detail, record.final) for record in link.lived("lost")] == [("go away", True)]

    @pytest.mark.parametrize("code", [4401, 1008, 4408])
    def test_forbidding_close_code_of_an_attempt(self, code: int) -> None:
        """A close code that forbids reconnecting is honoured while coming back."""
        link = Link().start().lose().retry().open().lose(code)
        assert link.finished
        assert link.counted("reconnect") == {"outages": 1, "attempts": 1, "failed": 1, "forbidden": 1}
        assert link.recorder.outages_open == 0

    def test_code_of_a_dropped_connection_forbids_nothing(self) -> None:
        """Whatever code the server answers a drop with, the client reconnects: the drop was its own doing."""
        link = Link().start().drop("bad_message").lose(1008)
        assert link.session.state is State.WAITING
        assert not any(name.startswith("losses.") for name in link.counts)

    def test_losses_are_counted_by_cause(self) -> None:
        """What the server or the network ends is counted by its cause, and what the plan ends by its kind."""
        link = Link().start().lose(1012).resume().lose(1012).resume().lose(1006).resume().drop("fin").detect()
        assert link.counted("losses") == {"1012": 2, "1006": 1}
        assert link.counted("drops") == {"fin": 1}
        assert link.counted("reconnect")["outages"] == 4

    def test_forgotten_session(self) -> None:
        """A server that restores an empty history is found out by what it had acknowledged."""
        link = Link().start().send(3).hear().lose()
        link.retry().open().hear_these(
            [link.inbox[0], frame("ws:session_restored", messages=[], history_count=0)]
        )
        assert link.counted("persistence") == {"checked": 1, "histories": 1, "acknowledged": 3, "missing": 3}
        assert link.errors("persistence")["acknowledged requests are not restored"].startswith("3 of 3")

    def test_no_history_at_all(self) -> None:
        """A server that answers after a resume and restores nothing by the connection's end is found out."""
        link = Link().start().send(2).hear().lose()
        link.server.forget(link.identity)
        link.resume().send().hear().send().hear()
        link.server.forget(link.identity)
        link.stop()
        assert link.counted("persistence") == {"checked": 1, "history_missing": 1}

    def test_another_session(self) -> None:
        """A server that resumes into another session is found out, each time."""
        link = Link().start().lose()
        link.server.known_as[link.identity.session_id] = "somebody else"
        link.resume().lose().resume()
        assert link.counted("persistence") == {"checked": 2, "identity_changed": 2}
        (example,) = link.errors("persistence").values()
        assert "somebody else" in example

    def test_restored_in_the_frame_of_established(self) -> None:
        """A server may say that the session is established and restored in one frame, in either order."""
        for turned in (False, True):
            link = Link().start().send(2).hear().lose().retry().open()
            frames = [str(data) for data in link.inbox]
            link.hear_these(["\n".join(frames[::-1] if turned else frames)]).send().hear()
            assert link.counted("persistence") == {"checked": 1, "histories": 1, "acknowledged": 2}

    def test_dropped_before_the_history_came(self) -> None:
        """A history that arrives on a connection that is being dropped has arrived."""
        link = Link().start().send().hear().lose().retry().open().hear(at_most=1)
        link.send().drop("close").hear()
        assert link.counted("persistence") == {"checked": 1, "histories": 1, "acknowledged": 1}

    def test_delivered_again(self) -> None:
        """A reply that the session already had and gets again with the resume is delivered twice."""
        link = Link().start().send(2).hear().lose().retry().open()
        again = link.server.again(link.identity, 1)
        link.hear_these([again, f"{link.inbox[0]!s}\n{again}"])
        assert link.session.state is State.PROVING
        assert link.counted("persistence") == {"checked": 1, "redelivered": 2}

    def test_recovered_reply(self) -> None:
        """A reply that comes after the resume was not lost in the outage after all."""
        link = Link().start().send(2).lose().resume()
        link.hear_these([link.server.again(link.identity, 0)])
        assert link.counted("messaging") == {"planned": 2, "sent": 2, "recovered": 1, "lost_in_outage": 1}
        assert not link.recorded.errors

    def test_late_reply_on_the_next_connection(self) -> None:
        """A reply that was given up before its connection went is late, wherever it comes."""
        link = Link().start().send().sweep(6 * NS_PER_S).lose().resume()
        link.hear_these([link.server.again(link.identity, 0)])
        assert link.counted("messaging") == {"planned": 1, "sent": 1, "late": 1}


class TestDisturbances:
    """What a session does to its own connection, and what it then may not be blamed for."""

    def test_half_open(self) -> None:
        """A half-open connection is an outage from the drop on, and nothing is sent on it."""
        link = Link().start().drop("half_open").send(2)
        assert link.recorder.outages_open == 1
        assert link.counted("messaging") == {"planned": 2, "queued": 2}
        link.detect().resume()
        assert link.counted("messaging") == {"planned": 2, "queued": 2, "released": 2, "sent": 2}

    def test_server_ends_a_drop(self) -> None:
        """A closing handshake that the server answers is noticed by its answer."""
        link = Link().start().drop("close").lose(1000)
        assert link.session.state is State.WAITING
        assert link.counted("reconnect") == {"outages": 1}

    def test_replies_to_a_dropping_session_count(self) -> None:
        """A reply that still comes on a dropped connection was not lost."""
        link = Link().start().send().drop("close").hear().lose(1000)
        assert link.counted("messaging") == {"planned": 1, "sent": 1, "answered": 1}
        assert not link.samples_ms("collateral"), "its own outage is no one else's"

    @pytest.mark.parametrize("dialect", [STANDARD.dialect, Echo()], ids=["emergence", "echo"])
    def test_answers_to_the_drop_itself_belong_to_no_request(self, dialect: Dialect) -> None:
        """What the server says to a bad message or a burst is counted apart, and touches no request."""
        server = EchoServer() if isinstance(dialect, Echo) else FakeServer()
        link = Link(session_config(dialect=dialect), server=server).start().send().drop("bad_message")
        assert link.session.probe is not None
        answers = ["this is not JSON", *server.answer(link.identity, link.session.probe)]
        reply, *_ = link.inbox
        link.hear_these(answers)
        assert link.counted("messaging") == {"planned": 1, "sent": 1, "drop_answers": 2}
        assert not link.recorded.errors
        link.hear_these([reply])
        assert link.counted("messaging") == {"planned": 1, "sent": 1, "drop_answers": 2, "answered": 1}

    def test_a_stream_that_answers_the_drop(self) -> None:
        """A streamed answer to the burst of a drop is taken for no request's."""
        link = Link(server=FakeServer(streams=True)).start().send().drop("mid_reply")
        link.hear_these([frame("ws:chat_stream_start"), frame("ws:chat_stream_end")])
        assert link.session._traffic.outstanding == 1
        assert link.samples_ms("first_part") == []

    def test_slow_reader(self) -> None:
        """A slow reader stays connected: no outage, and what fell due meanwhile is sent afterwards."""
        link = Link().start().send().hear().drop("slow_reader").send(2).recover()
        assert link.recorder.outages_open == 0
        assert not link.counted("reconnect")
        assert link.counted("messaging") == {
            "planned": 3,
            "queued": 2,
            "released": 2,
            "sent": 3,
            "answered": 1,
        }
        assert link.hear().samples_ms("service") == [1], "what waited tells no latency"
        assert not link.samples_ms("after_resume")

    def test_slow_reader_loses_nothing(self) -> None:
        """Replies that a slow reader has yet to read are not late: it could not read them."""
        link = Link().start().send().drop("slow_reader").sweep(6 * NS_PER_S).recover().sweep().hear()
        assert link.counted("messaging") == {"planned": 1, "sent": 1, "answered": 1}
        link.server.faults[1] = "lose"
        link.send().sweep(6 * NS_PER_S)
        assert link.counted("messaging")["lost"] == 1

    def test_slow_reader_is_lost(self) -> None:
        """A server may give up on a slow reader: the outage is the drop's, even if it shows later."""
        for link in (Link().start().drop("slow_reader"), Link().start().drop("slow_reader").recover()):
            link.lose(1011)
            assert "losses.1011" not in link.counts
            assert link.recorder.outages_open == 1
            assert [record.cause for record in link.lived("ended")] == ["1011"]

    def test_lost_on_the_next_connection(self) -> None:
        """The drop explains nothing on the connection that follows."""
        link = Link().start().drop("slow_reader").recover().lose(1011).resume().send().hear().lose(1011)
        assert link.counts["losses.1011"] == 1

    @pytest.mark.parametrize("code", [1008, 4408])
    def test_slow_reader_is_barred(self, code: int) -> None:
        """A forbidding close code holds although the drop is the cause; it is nobody's failure."""
        link = Link().start().drop("slow_reader").lose(code)
        assert link.finished
        assert not link.counted("stability")
        assert not link.counted("reconnect")

    def test_lost_long_after_a_slow_reader(self) -> None:
        """The drop does not explain for ever that the server ends the connection."""
        link = Link().start().drop("slow_reader").recover().sweep(AFTERMATH_NS).lose(1011)
        assert link.counts["losses.1011"] == 1
        assert not link.lived("ended")

    def test_first_round_trip_after_a_resume(self) -> None:
        """The first round trip after a resume has its own histogram; later ones tell the latency again."""
        link = Link().start().lose().resume().send(2).hear()
        assert len(link.samples_ms("after_resume")) == 1
        assert len(link.samples_ms("service")) == len(link.samples_ms("response")) == 1

    def test_collateral(self) -> None:
        """While another session is in an outage, round trips of an undisturbed one are kept apart as well."""
        recorder = Recorder()
        one, other = (Link(recorder=recorder).start() for _ in range(2))
        one.send().hear()
        assert not one.samples_ms("collateral")
        other.lose()
        one.send().hear()
        other.resume()
        one.send().hear()
        assert len(one.samples_ms("collateral")) == 1
        assert len(one.samples_ms("service")) == 3


class TestStopping:
    """The end in good order."""

    def test_draining(self) -> None:
        """A session that stops waits for its last replies, then closes with 1000."""
        link = Link().start().send(2).stop().hear(at_most=1)
        assert link.session.state is State.DRAINING
        link.hear()
        assert [type(action).__name__ for action in link.asked[-3:]] == ["Drain", "Close", "Finish"]
        assert link.counted("messaging") == {"planned": 2, "sent": 2, "answered": 2}

    def test_drained(self) -> None:
        """What the last replies' time did not bring is unfinished, neither answered nor lost."""
        link = Link().start().send(2).hear(at_most=1).stop()
        link.tell(Drained())
        assert link.finished
        assert link.counted("messaging") == {"planned": 2, "sent": 2, "answered": 1, "unfinished": 1}

    def test_lost_while_draining(self) -> None:
        """A connection that goes while draining is the end; nothing is asked of it any more."""
        link = Link().start().send().stop().lose()
        assert link.finished
        assert link.counted("messaging")["unfinished"] == 1
        assert not link.counted("reconnect")

    def test_overdue_while_draining(self) -> None:
        """When the last reply under way is given up, the session waits no longer."""
        link = Link().start().send().stop().sweep(6 * NS_PER_S)
        assert link.finished
        assert link.counted("messaging") == {"planned": 1, "sent": 1, "lost": 1}

    @pytest.mark.parametrize(
        "behaviour",
        [session_config(pace=Pace(rate=0, arrivals="closed")), session_config(in_flight=1)],
        ids=["closed", "held"],
    )
    def test_nothing_new_while_draining(self, behaviour: SessionConfig) -> None:
        """Neither a reply nor a given-up request makes a stopping session send another message."""
        for heard in (True, False):
            link = Link(behaviour).start()
            if not behaviour.pace.closed:
                link.send(2)
            link.stop()
            if heard:
                link.hear()
            else:
                link.sweep(6 * NS_PER_S)
            assert link.finished
            assert link.counts["messaging.sent"] == 1

    @pytest.mark.parametrize(
        ("failed", "ending"),
        [(0, "cut_short"), (1, "unresolved"), (OVERDUE_ATTEMPTS, "overdue")],
    )
    @pytest.mark.parametrize("during", [State.WAITING, State.CONNECTING, State.ESTABLISHING])
    def test_stopped_in_an_outage(self, failed: int, ending: str, during: State) -> None:
        """An outage that the run's end cuts short is judged by the attempts that had failed by then."""
        link = Link().start().lose()
        for _ in range(failed):
            link.retry().refuse()
        if during is not State.WAITING:
            link.retry()
        if during is State.ESTABLISHING:
            link.open()
        link.stop()
        endings = link.counted("reconnect").keys() - {"outages", "attempts", "failed"}
        assert endings == {ending}
        assert bool(link.errors("reconnect").pop("not back by the end of the run", "")) == (failed > 0)
        assert link.recorder.outages_open == 0

    @pytest.mark.parametrize("during", [State.CONNECTING, State.ESTABLISHING])
    def test_stopped_before_it_was_ever_established(self, during: State) -> None:
        """A first attempt that the run's end cuts short is no outage and no failure, but an old one hangs."""
        link = link_in(during).stop()
        assert link.finished
        assert link.counts == {"connect.attempts": 1, "connect.cut_short": 1}
        link = link_in(during)
        link.now_ns += HANGING_NS
        link.stop()
        assert link.counts == {"connect.attempts": 1, "connect.unresolved": 1}
        assert link.errors("connect") == {"no answer by the end of the run": "after 2.0 s"}

    @pytest.mark.parametrize("during", [State.CONNECTING, State.ESTABLISHING])
    def test_stopped_while_an_attempt_of_an_outage_hangs(self, during: State) -> None:
        """An attempt to come back that has no answer for long is not merely cut short."""
        link = Link().start().lose().retry()
        if during is State.ESTABLISHING:
            link.open()
        link.now_ns += HANGING_NS
        link.stop()
        assert link.counts["reconnect.unresolved"] == 1
        assert "reconnect.cut_short" not in link.counts

    @pytest.mark.parametrize(("awaited", "ending"), [(False, "cut_short"), (True, "unresolved")])
    @pytest.mark.parametrize("item", ["connect", "reconnect"])
    def test_stopped_while_a_token_is_awaited(self, item: str, awaited: bool, ending: str) -> None:
        """An attempt that waits for a token has asked the server nothing; one that has asked it hangs."""
        link = Link(session_config(renews_token=True))
        if item == "connect":
            link.tell(Started())
        else:
            link.start().lose().retry()
        link.now_ns += 3 * HANGING_NS
        if awaited:
            link.tell(TokenAwaited(3 * HANGING_NS))
            link.now_ns += HANGING_NS + MS
        link.stop()
        endings = link.counted(item).keys() & {"cut_short", "unresolved"}
        assert endings == {ending}
        assert bool(link.errors(item)) == awaited

    @pytest.mark.parametrize(("asked_ns", "hangs"), [(HANGING_NS // 2, False), (HANGING_NS + MS, True)])
    def test_the_wait_for_a_token_does_not_hang(self, asked_ns: int, hangs: bool) -> None:
        """Once the server is asked, only the time since then counts."""
        link = Link(session_config(renews_token=True))
        link.tell(Started())
        link.now_ns += 3 * HANGING_NS
        link.tell(TokenAwaited(3 * HANGING_NS))
        link.now_ns += asked_ns
        link.stop()
        assert link.counts["connect.unresolved" if hangs else "connect.cut_short"] == 1


class TestHanging:
    """Requests that should have been answered long before their connection or the session ended."""

    @pytest.mark.parametrize(("waited_ns", "hanging"), [(HANGING_NS // 2, 0), (HANGING_NS + NS_PER_S, 2)])
    @pytest.mark.parametrize("end", ["drop", "stop"])
    def test_counted_by_age(self, waited_ns: int, hanging: int, end: str) -> None:
        """At a drop or the end of draining; a short wait is nobody's fault."""
        link = Link().start().send(2)
        link.now_ns += waited_ns
        getattr(link, end)()
        if end == "stop":
            link.tell(Drained())
        assert link.counts.get("messaging.hanging", 0) == hanging

    def test_not_at_a_loss(self) -> None:
        """A lost connection explains the replies that did not come on it."""
        link = Link().start().send(2)
        link.now_ns += HANGING_NS + NS_PER_S
        link.lose()
        assert "messaging.hanging" not in link.counts
        assert link.counts["messaging.lost_in_outage"] == 2

    def test_not_while_a_slow_reader_does_not_read(self) -> None:
        """What could not be read cannot hang."""
        link = Link().start().send(2).drop("slow_reader")
        link.now_ns += 5 * NS_PER_S
        link.lose()
        assert "messaging.hanging" not in link.counts
