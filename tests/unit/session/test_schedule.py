"""Pace and backoff: functions of a seed and of counters, against the distributions they claim."""

import math
from typing import Any

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from loadtest.errors import InvalidSetting
from loadtest.session.schedule import NS_PER_S, Backoff, Pace, parse_backoff, uniform
from tests.support.effort import effort


def kolmogorov_distance(draws: list[float]) -> float:
    """Return how far the draws' distribution is from the uniform one on [0, 1)."""
    ordered = sorted(draws)
    count = len(ordered)
    return max(max((n + 1) / count - draw, draw - n / count) for n, draw in enumerate(ordered))


class TestUniform:
    """Draws that belong to labels."""

    def test_belongs_to_its_labels(self) -> None:
        """The same labels give the same number; another seed, purpose or counter gives another."""
        labels: list[tuple[Any, ...]] = [
            (1, "a", 2, 3),
            (2, "a", 2, 3),
            (1, "b", 2, 3),
            (1, "a", 3, 2),
            (1, "a", 23),
        ]
        draws = [uniform(*label) for label in labels]
        assert draws == [uniform(*label) for label in labels]
        assert len(set(draws)) == len(labels)

    def test_known_draw(self) -> None:
        """A plan is the same in every later version: this draw, by `b2sum -l 64`, may never change."""
        assert uniform(1, "phase", 0) == (0x1756F2F2912F41CB >> 11) / 2**53

    def test_is_uniform(self) -> None:
        """The draws of neighbouring counters are uniform (Kolmogorov-Smirnov, 1 % level)."""
        draws = [uniform(7, "arrival", session, message) for session in range(40) for message in range(50)]
        assert all(0 <= draw < 1 for draw in draws)
        assert kolmogorov_distance(draws) < 1.63 / math.sqrt(len(draws))

    def test_is_never_one(self, monkeypatch: pytest.MonkeyPatch) -> None:
        """The highest digest gives the highest number below 1, of which a logarithm can be taken."""

        class Highest:
            def __init__(self, _label: bytes, *, digest_size: int) -> None:
                self.size = digest_size

            def digest(self) -> bytes:
                return b"\xff" * self.size

        monkeypatch.setattr("loadtest.session.schedule.blake2b", Highest)
        assert uniform(1, "any") == math.nextafter(1, 0)
        assert (Pace(rate=1, arrivals="poisson").gap_ns(0, 0) or 0) > 0


class TestPace:
    """When messages are due."""

    def test_constant(self) -> None:
        """A constant pace is even, and each session has a phase of its own within one gap."""
        pace = Pace(rate=4.0)
        phases = [pace.gap_ns(session, 0) for session in range(500)]
        assert all(phase is not None and 0 <= phase < NS_PER_S / 4 for phase in phases)
        assert kolmogorov_distance([(phase or 0) * 4 / NS_PER_S for phase in phases]) < 1.63 / math.sqrt(500)
        assert {pace.gap_ns(session, message) for session in range(5) for message in range(1, 50)} == {
            NS_PER_S // 4
        }

    def test_poisson(self) -> None:
        """Poisson gaps are exponential with the rate's mean, from the first message on."""
        pace = Pace(rate=20.0, arrivals="poisson")
        gaps_s = [
            (pace.gap_ns(session, message) or 0) / NS_PER_S for session in range(40) for message in range(50)
        ]
        assert sum(gaps_s) / len(gaps_s) == pytest.approx(1 / 20, rel=0.05)
        assert kolmogorov_distance([-math.expm1(-20 * gap_s) for gap_s in gaps_s]) < 1.63 / math.sqrt(2000)

    def test_seed(self) -> None:
        """Another seed gives other times, the same seed the same."""
        first, other = (Pace(rate=1, arrivals="poisson", seed=seed) for seed in (1, 2))
        assert first.gap_ns(3, 4) != other.gap_ns(3, 4)
        assert first.gap_ns(3, 4) == Pace(rate=1, arrivals="poisson", seed=1).gap_ns(3, 4)

    def test_plan_of_every_version(self) -> None:
        """A seed's plan is the same in every version of the tool: runs of two versions can be compared."""
        gaps_ns = [
            [Pace(20.0, arrivals, seed=7).gap_ns(3, message) for message in (0, 1, 99)]
            for arrivals in ("constant", "poisson")
        ]
        assert gaps_ns == [[8243063, 50000000, 50000000], [143080394, 14815545, 3607050]]

    @pytest.mark.parametrize(
        "pace", [Pace(rate=0), Pace(rate=0, arrivals="poisson"), Pace(rate=5, arrivals="closed")]
    )
    def test_plans_nothing(self, pace: Pace) -> None:
        """Without a rate, and in a closed loop, no message is planned by time."""
        assert pace.gap_ns(0, 0) is pace.gap_ns(0, 1) is None

    def test_slowest_and_fastest(self) -> None:
        """The limits of the rate give times that can be counted with."""
        for rate in (1e-6, 10_000):
            for arrivals in ("constant", "poisson"):
                gap_ns = Pace(rate=rate, arrivals=arrivals).gap_ns(0, 1)
                assert gap_ns is not None
                assert 0 < gap_ns < 100 * NS_PER_S / rate

    @pytest.mark.parametrize("rate", [-1.0, 10_001.0, math.nan, math.inf, 1e-300])
    def test_bad_rate(self, rate: float) -> None:
        """A rate that is none is refused with the value, the limits and what to give."""
        with pytest.raises(InvalidSetting, match=r"--ws-rate must be 0 or 0.000001–10000 messages .* \(got "):
            Pace(rate=rate)

    def test_bad_arrivals(self) -> None:
        """Unknown arrivals are refused, and the known ones named."""
        with pytest.raises(InvalidSetting, match=r"must be constant, poisson or closed \(got 'even'\)"):
            Pace(rate=1, arrivals="even")  # type: ignore[arg-type]


def delays_s(backoff: Backoff, attempts: int = 6, *, session: int = 0, outage: int = 1) -> list[float | None]:
    """Return the delays before the first attempts of an outage."""
    return [backoff.delay_s(attempt, session=session, outage=outage) for attempt in range(1, attempts + 1)]


class TestBackoff:
    """When the next attempt is due."""

    def test_default(self) -> None:
        """The default is the browser client's: 1 s, doubled up to 8 s, 50 attempts."""
        assert delays_s(Backoff()) == [1, 2, 4, 8, 8, 8]
        assert delays_s(Backoff(), 51)[-2:] == [8, None]

    def test_constant(self) -> None:
        """A constant policy waits the same time before each attempt."""
        assert delays_s(parse_backoff("constant(0.5,max_attempts=4)")) == [0.5, 0.5, 0.5, 0.5, None, None]

    def test_none(self) -> None:
        """The policy `none` gives up at once."""
        assert delays_s(parse_backoff("none"), 1) == [None]

    @pytest.mark.parametrize(("jitter", "least"), [("full", 0.0), ("equal", 0.5)])
    def test_jitter(self, jitter: Any, least: float) -> None:
        """Full jitter draws from [0, delay], equal jitter from [delay/2, delay], evenly."""
        backoff = Backoff(jitter=jitter)
        draws = []
        for session in range(300):
            for attempt, delay_s in enumerate(delays_s(backoff, session=session), start=1):
                assert delay_s is not None
                draws.append((delay_s / backoff.longest_s(attempt) - least) / (1 - least))
        assert all(0 <= draw < 1 for draw in draws)
        assert kolmogorov_distance(draws) < 1.63 / math.sqrt(len(draws))

    def test_jitter_is_seeded(self) -> None:
        """Session, outage and seed each have draws of their own, the same at each asking."""
        backoff = Backoff(jitter="full")
        drawn = [
            delays_s(backoff),
            delays_s(backoff, session=1),
            delays_s(backoff, outage=2),
            delays_s(Backoff(jitter="full", seed=2)),
        ]
        assert len(set(map(tuple, drawn))) == 4
        assert drawn[0] == delays_s(backoff)

    def test_grows_to_the_cap(self) -> None:
        """The delay grows as the policy says up to any cap, slowly or far beyond a float's range."""
        slow = Backoff(base_s=1, factor=1.01, cap_s=1000, max_attempts=10_000)
        assert slow.longest_s(501) == pytest.approx(1.01**500)
        assert slow.longest_s(10_000) == 1000
        assert Backoff(base_s=1e-9, factor=1e300, max_attempts=9).longest_s(9) == 8
        assert Backoff(base_s=0, factor=1e300, max_attempts=9).longest_s(9) == 0

    @pytest.mark.parametrize(
        ("changes", "named"),
        [
            ({"base_s": -1}, "base must be 0 or more seconds (got -1)"),
            ({"base_s": math.nan}, "base must be 0 or more seconds (got nan)"),
            ({"factor": 0.5}, "factor must be 1 or more (got 0.5)"),
            ({"cap_s": math.inf}, "cap must be 0 or more seconds (got inf)"),
            ({"max_attempts": -1}, "max_attempts must be a whole number, 0 or more (got -1)"),
            ({"jitter": "some"}, "jitter must be none, full or equal (got 'some')"),
            ({"reset": "opened"}, "reset must be worked, established or connected (got 'opened')"),
            ({"retry_after": "no"}, "retry_after must be obey or ignore (got 'no')"),
        ],
    )
    def test_bad_argument(self, changes: dict[str, Any], named: str) -> None:
        """An argument out of range is refused with its name, what it must be, and its value."""
        with pytest.raises(InvalidSetting) as refusal:
            Backoff(**changes)
        assert f"--ws-backoff {named}" in str(refusal.value)


FORM = "must be none, constant(SECONDS) or exponential(base=1,factor=2,cap=8,"

finite = st.floats(0, 1e300, allow_nan=False)
backoffs = st.builds(
    Backoff,
    base_s=finite,
    factor=st.floats(1, 1e300),
    cap_s=finite,
    jitter=st.sampled_from(["none", "full", "equal"]),
    max_attempts=st.integers(1, 10_000),
    reset=st.sampled_from(["worked", "established", "connected"]),
    retry_after=st.sampled_from(["obey", "ignore"]),
    seed=st.just(1),
)


class TestParseBackoff:
    """The text that `--ws-backoff` takes."""

    @pytest.mark.parametrize(
        ("text", "backoff"),
        [
            ("none", Backoff(max_attempts=0)),
            ("exponential", Backoff()),
            ("exponential()", Backoff()),
            (" Exponential( 1, 2, 8, FULL ) ", Backoff(jitter="full")),
            ("exponential(base=0.5,cap=4)", Backoff(base_s=0.5, cap_s=4)),
            ("exponential(2,max_attempts=3)", Backoff(base_s=2, max_attempts=3)),
            ("exponential(base_s=2,cap_s=3)", Backoff(base_s=2, cap_s=3)),
            ("constant", Backoff(factor=1, cap_s=1)),
            ("constant(2)", Backoff(base_s=2, factor=1, cap_s=2)),
            ("constant(20,jitter=equal)", Backoff(base_s=20, factor=1, cap_s=20, jitter="equal")),
            ("exponential(1,2,8,full,reset=established)", Backoff(jitter="full", reset="established")),
            ("exponential(retry_after=ignore)", Backoff(retry_after="ignore")),
            (
                "constant(2,reset=connected,retry_after=obey)",
                Backoff(base_s=2, factor=1, cap_s=2, reset="connected"),
            ),
        ],
    )
    def test_policies(self, text: str, backoff: Backoff) -> None:
        """Arguments go by position or name; case and blanks do not matter."""
        assert parse_backoff(text) == backoff

    @pytest.mark.parametrize(
        ("text", "problem"),
        [
            ("", FORM),
            ("linear(1)", FORM),
            ("exponential(1", FORM),
            ("exponential(1)(2)", FORM),
            ("none(1)", "none takes no arguments"),
            ("constant(1,2)", "must have no factor"),
            ("constant(1,cap=2)", "and no cap"),
            ("exponential(x)", "base must be 0 or more seconds (got 'x')"),
            ("exponential(,2)", "has an empty argument"),
            ("constant(1,)", "has an empty argument"),
            ("exponential(base=,2)", "must have '2' before 'base=', or by name: NAME=2"),
            ("exponential(reset=connected,2)", "must have '2' before 'reset=connected', or by name: NAME=2"),
            ("constant(jitter=full,2)", "must have '2' before 'jitter=full'"),
            ("exponential(reset_s=connected)", "unknown or repeated argument 'reset_s'"),
            ("exponential(factor_s=2)", "unknown or repeated argument 'factor_s'"),
            ("exponential(1,base_s=2)", "repeated argument 'base'"),
            ("exponential(max_attempts=2.5)", "a whole number, 0 or more (got '2.5')"),
            (f"exponential(max_attempts={'9' * 400})", "a whole number, 0 or more (got '999"),
            ("exponential(1,base=2)", "repeated argument 'base'"),
            ("exponential(speed=2)", "unknown or repeated argument 'speed'"),
            ("exponential(1,2,8,none,5,6)", FORM),
            ("exponential(1,2,8,none,5,worked)", FORM),
            ("none(reset=connected)", "none takes no arguments"),
            ("constant(1,reset=never)", "reset must be worked, established or connected (got 'never')"),
            ("exponential(retry_after=)", "retry_after must be obey or ignore (got '')"),
            ("exponential(1,2,8,some)", "jitter must be none, full or equal (got 'some')"),
            ("exponential(nan)", "base must be 0 or more seconds (got 'nan')"),
        ],
    )
    def test_refused(self, text: str, problem: str) -> None:
        """A text that is not a policy is refused: what it must be, or the argument that is wrong."""
        with pytest.raises(InvalidSetting) as refusal:
            parse_backoff(text)
        assert problem in str(refusal.value)
        assert str(refusal.value).startswith("--ws-backoff ")

    def test_seed(self) -> None:
        """The seed is the run's and not part of the text."""
        assert parse_backoff("constant(1)", seed=9).seed == 9
        assert parse_backoff("none", seed=9).seed == 9

    @given(backoffs)
    @example(Backoff(base_s=1.2345678901))
    @example(parse_backoff("none"))
    @example(parse_backoff("constant(1e-7)"))
    @effort(50)
    def test_round_trip(self, backoff: Backoff) -> None:
        """A policy's text is read back as the same policy."""
        assert parse_backoff(str(backoff)) == backoff

    def test_one_policy_has_one_text(self) -> None:
        """A policy is written the same, whether its numbers were given as integers or not."""
        assert (
            str(Backoff(base_s=1, factor=2, cap_s=8))
            == str(Backoff())
            == str(parse_backoff("exponential(reset=worked,retry_after=obey)"))
            == ("exponential(base=1,factor=2,cap=8,jitter=none,max_attempts=50)")
        )

    def test_other_habits_are_written(self) -> None:
        """Runs whose clients start the policy again elsewhere, or ignore Retry-After, have another plan."""
        assert str(Backoff(reset="connected", retry_after="ignore")).endswith(
            ",max_attempts=50,reset=connected,retry_after=ignore)"
        )

    @given(
        st.text(max_size=40)
        | st.from_regex(r"(none|constant|exponential)\([a-z_=0-9.,e+-]{0,30}\)", fullmatch=True)
        | st.builds("exponential({})".format, st.text("0123456789.,=ebasctorfulnjitm_-", max_size=20))
    )
    @effort(50)
    def test_any_text(self, text: str) -> None:
        """Whatever the text, it is a policy whose delays can be asked for, or refused as a setting."""
        try:
            backoff = parse_backoff(text)
        except InvalidSetting:
            return
        delay_s = backoff.delay_s(max(1, backoff.max_attempts), session=0, outage=1)
        assert delay_s is None or 0 <= delay_s <= backoff.cap_s
