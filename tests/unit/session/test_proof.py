"""When a session counts as working on its connection, and what becomes of an outage until then."""

import pytest

from loadtest.events import Drained, Started
from loadtest.session.proof import QUIET_NS
from loadtest.session.recorder import HANGING_NS
from loadtest.session.schedule import NS_PER_S, Backoff
from loadtest.session.state import State
from tests.support.fake_link import MS, FakeServer, Link, frame, session_config

TIMEOUT_NS = 6 * NS_PER_S
"""Longer than the reply timeout of the standard configuration."""

PRESENCE = frame("ws:presence")


def back(server: FakeServer | None = None) -> Link:
    """Return a link whose session is established again after a loss, and has not worked yet."""
    return Link(server=server or FakeServer()).start().lose().reopen()


def fresh() -> Link:
    """Return a link whose session is established for the first time, and has not worked yet."""
    link = Link()
    link.tell(Started())
    return link.open().hear()


def mute(link: Link) -> Link:
    """Let the server answer none of the session's next requests."""
    link.server.faults = dict.fromkeys(range(100), "lose")
    return link


class TestSigns:
    """What proves that a session works."""

    def test_a_reply(self) -> None:
        """The first reply ends the outage, which is as long as it took to be established again."""
        link = back()
        assert link.counted("reconnect") == {"outages": 1, "attempts": 1}
        link.now_ns += 500 * MS
        link.send().hear()
        assert link.session.state is State.STEADY
        assert link.counted("reconnect") == {"outages": 1, "attempts": 1, "resumed": 1}
        (outage_ms,) = link.samples_ms("outage")
        assert outage_ms < 100
        assert [record.outage_ns for record in link.lived("resumed")] == [outage_ms * MS]

    @pytest.mark.parametrize("fault", ["refuse", "corrupt", "confuse"])
    def test_a_wrong_reply(self, fault: str) -> None:
        """A wrong reply is the fault of `messaging`: the connection works."""
        link = back()
        link.server.faults = {0: fault}
        link.send().hear()
        assert link.session.state is State.STEADY

    def test_the_beginning_of_a_reply(self) -> None:
        """A streamed reply that has begun is a sign of life."""
        link = back(FakeServer(streams=True)).send().hear(at_most=1)
        assert link.session.state is State.STEADY

    def test_a_push_where_nothing_was_asked(self) -> None:
        """A push proves that the connection works, unless a request awaits its reply."""
        quiet, asking = back().hear_these([PRESENCE]), mute(back()).send().hear_these([PRESENCE])
        assert (quiet.session.state, asking.session.state) == (State.STEADY, State.PROVING)

    def test_a_quiet_second(self) -> None:
        """A connection that lasts a second and was asked nothing works; seen when it matters."""
        link = back()
        link.now_ns += QUIET_NS
        assert link.lose(1011).counts["losses.1011"] == 1
        asking = mute(back()).send()
        asking.now_ns += QUIET_NS
        assert "losses.1011" not in asking.lose(1011).counts

    def test_a_request_after_a_quiet_second(self) -> None:
        """A request sent later does not bring the doubt back."""
        link = mute(back())
        link.now_ns += QUIET_NS
        link.send().lose(1011)
        assert link.counts["losses.1011"] == 1


class TestLostBefore:
    """A connection that is lost before the session has worked is one more failed attempt."""

    def test_of_an_outage(self) -> None:
        """The outage goes on with the policy's next delay, and is as long as it took until it worked."""
        link = Link().start().lose()
        for _ in range(3):
            link.reopen().lose(1011)
        assert link.delays_s == [1, 2, 4, 8]
        assert link.counted("reconnect") == {"outages": 1, "attempts": 3, "failed": 3}
        assert link.errors("reconnect") == {"working: closed_1011": ""}
        assert [name for name in link.counts if name.startswith("losses.")] == ["losses.1006"]
        link.resume()
        assert link.counted("reconnect")["resumed"] == 1
        assert link.lose().delays_s[-1] == 1, "it has worked, so the policy starts anew"

    def test_of_a_first_connection(self) -> None:
        """It belongs to `connect`, and the session is not connected yet."""
        link = fresh().lose(1011)
        assert link.counted("connect") == {"attempts": 1, "failed": 1}
        assert not link.samples_ms("connect")
        link.resume()
        assert link.counted("connect") == {"attempts": 2, "failed": 1, "established": 1}
        assert not link.counted("reconnect")

    def test_requests_under_way(self) -> None:
        """They are explained, and a late reply to them on the next connection is recovered."""
        link = mute(back()).send(2).lose(1011)
        assert link.counted("messaging")["lost_in_outage"] == 2
        assert "lost" not in link.counted("messaging")

    def test_forbidden(self) -> None:
        """A close code that forbids reconnecting ends the outage."""
        link = back().lose(1008)
        assert link.finished
        assert link.counted("reconnect") == {"outages": 1, "attempts": 1, "failed": 1, "forbidden": 1}
        assert not link.counted("stability")

    def test_gives_up(self) -> None:
        """A client whose connections never work gives up as its policy says."""
        link = Link(session_config(backoff=Backoff(max_attempts=2))).start().lose()
        link.reopen().lose().reopen().lose()
        assert link.finished
        assert link.counted("reconnect")["gave_up"] == 1


class TestDroppedBefore:
    """A drop that comes before the session has worked leaves its outage unproven."""

    def test_unproven(self) -> None:
        """It is neither good nor bad, and the drop begins an outage of its own."""
        link = back().drop()
        assert link.counted("reconnect") == {"outages": 2, "attempts": 1, "unproven": 1}
        assert link.recorder.outages_open == 1

    def test_first_connection(self) -> None:
        """The session connected, as far as can be known."""
        link = fresh().drop()
        assert link.counted("connect") == {"attempts": 1, "unproven": 1}

    def test_the_policy_goes_on(self) -> None:
        """Delays grow until a connection has worked, but each outage has all its attempts."""
        link = Link(session_config(backoff=Backoff(max_attempts=1))).start()
        for _ in range(3):
            link.drop().detect().reopen()
        assert not link.finished
        growing = Link().start()
        for _ in range(3):
            growing.drop().detect().reopen()
        assert growing.delays_s == [1, 2, 4]

    def test_that_keeps_the_connection(self) -> None:
        """A slow reader goes on to wait for a sign; whatever ends its connection, the drop is the cause."""
        link = back().drop("slow_reader").recover()
        assert link.session.state is State.PROVING
        assert link.send().hear().counted("reconnect")["resumed"] == 1
        lost = back().drop("slow_reader").lose(1011)
        assert lost.counted("reconnect") == {"outages": 2, "attempts": 1, "unproven": 1}
        assert "losses.1011" not in lost.counts
        first = fresh().drop("slow_reader").recover().send().hear()
        assert first.counted("connect") == {"attempts": 1, "established": 1}

    def test_requests_without_a_reply_for_long(self) -> None:
        """They speak against the reconnect, not against `messaging`, and prove nothing before the timeout."""
        link = mute(back()).send()
        link.now_ns += HANGING_NS + MS
        link.drop()
        assert link.counted("reconnect") == {"outages": 2, "attempts": 1, "unproven": 1, "hanging": 1}
        assert "hanging" not in link.counted("messaging")


class TestSilent:
    """A session that comes back to a connection that never answers."""

    def test_dropped(self) -> None:
        """The requests are explained by the outage, and the outage is silent."""
        link = mute(back()).send(2).sweep(TIMEOUT_NS)
        assert "lost" not in link.counted("messaging")
        link.drop()
        assert link.counted("messaging") == {"planned": 2, "sent": 2, "lost_in_outage": 2}
        assert link.counted("reconnect") == {"outages": 2, "attempts": 1, "silent": 1}
        ((error, example),) = link.errors("reconnect").items()
        assert error == "no reply in time on the new connection"
        assert example.startswith("2 requests, request 0: ")

    def test_stopped(self) -> None:
        """At the run's end it is silent as well."""
        link = mute(back()).send().sweep(TIMEOUT_NS).stop()
        assert link.counted("reconnect")["silent"] == 1

    def test_stopped_before_the_timeout(self) -> None:
        """A long silence at the run's end proves nothing, but is counted; a short one says nothing."""
        long = mute(back()).send()
        long.now_ns += HANGING_NS + MS
        long.stop().tell(Drained())
        short = mute(back()).send().stop()
        short.tell(Drained())
        assert long.counted("reconnect") == {"outages": 1, "attempts": 1, "unproven": 1, "hanging": 1}
        assert short.counted("reconnect") == {"outages": 1, "attempts": 1, "unproven": 1}

    def test_lost(self) -> None:
        """A server that hangs up on a session it never answers is silent: that is no refusal, nor a loss."""
        link = mute(back()).send().sweep(TIMEOUT_NS).lose(1000)
        assert link.counted("reconnect") == {"outages": 2, "attempts": 1, "silent": 1}
        assert [name for name in link.counts if name.startswith("losses.")] == ["losses.1006"]

    def test_a_first_connection_lost(self) -> None:
        """Of a first connection, only the lost messages speak against the server."""
        link = mute(fresh()).send().sweep(TIMEOUT_NS).lose(1000)
        assert link.counted("connect") == {"attempts": 1, "unproven": 1}
        assert link.counted("messaging")["lost"] == 1
        assert link.counted("reconnect") == {"outages": 1}

    def test_bounded(self) -> None:
        """However many requests time out, only the latest are remembered, and all are counted."""
        link = mute(back())
        link.server.faults = dict.fromkeys(range(1000), "lose")
        link.send(600).sweep(TIMEOUT_NS)
        assert len(link.session._proof._silenced) < 300
        assert link.drop().counted("messaging")["lost_in_outage"] == 600

    def test_silent_while_draining(self) -> None:
        """Requests whose time ends after the run's end are explained by the outage like those before."""
        link = mute(back()).send().sweep(TIMEOUT_NS - MS).send().stop()
        link.sweep(2 * MS).sweep(TIMEOUT_NS)
        assert link.finished
        assert link.counted("messaging") == {"planned": 2, "sent": 2, "lost_in_outage": 2}
        assert link.counted("reconnect")["silent"] == 1

    def test_answered_while_draining(self) -> None:
        """A reply that comes at last proves that the session works."""
        link = back().send().stop().hear()
        assert link.finished
        assert link.counted("reconnect")["resumed"] == 1

    def test_answered_later(self) -> None:
        """If another request is answered after all, those before are lost: the reconnect is fine."""
        link = back()
        link.server.faults = {0: "lose"}
        link.send().sweep(TIMEOUT_NS).send().hear()
        assert link.counted("reconnect")["resumed"] == 1
        assert link.counted("messaging") == {"planned": 2, "sent": 2, "lost": 1, "answered": 1}
        assert list(link.errors("messaging")) == ["no reply in time"]

    def test_late(self) -> None:
        """A reply after the timeout proves that the session works, and is late."""
        link = back().send()
        frames, link.inbox = link.inbox, []
        link.sweep(TIMEOUT_NS).hear_these(frames)
        assert link.counted("reconnect")["resumed"] == 1
        assert link.counted("messaging") == {"planned": 1, "sent": 1, "late": 1}

    def test_recovered_on_the_next_connection(self) -> None:
        """What the outage explained is recovered, not late, if its reply comes on a later connection."""
        link = back().send()
        frames, link.inbox = link.inbox, []
        link.sweep(TIMEOUT_NS).lose(1011).reopen().hear_these(frames)
        assert link.counted("messaging") == {"planned": 1, "sent": 1, "recovered": 1}

    def test_of_a_first_connection(self) -> None:
        """A server that never answers loses messages; nothing says that the session did not connect."""
        link = mute(fresh()).send().sweep(TIMEOUT_NS)
        assert link.counted("messaging")["lost"] == 1
        link.sweep(QUIET_NS)
        assert link.session.state is State.PROVING, "something was asked"
        link.stop()
        assert link.counted("connect") == {"attempts": 1, "unproven": 1}
