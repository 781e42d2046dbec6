"""The verdict on a run of several user classes: the worst of theirs, and what only the whole run shows."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import msgspec
import pytest

from loadtest.results.data import RunData
from loadtest.results.identities import SharedIdentities
from loadtest.results.interval import pack
from loadtest.results.manifest import Promises, ServerGauge, UserClass
from loadtest.results.user_classes import fields_of
from loadtest.ruling import Ruling
from loadtest.statistics.margins import GATES
from loadtest.statistics.noise import PastRun
from loadtest.verdict.classes import joined_latency
from loadtest.verdict.evidence import LatencyEvidence
from loadtest.verdict.gate_evidence import ErrorLevels
from loadtest.verdict.items import Item, Verdict
from loadtest.verdict.latency import judge_pairs
from loadtest.verdict.run import judge
from loadtest.verdict.timing import timing
from tests.support.runs import SOUND_COUNTS, SOUND_GAUGES, gathered, interval, manifest, plan

IDENTIFYING = Promises(ordered=True, identifies=True, pushes=True)


def run_of(
    changes: dict[str, dict[str, int]] | None = None,
    gauges: dict[str, dict[str, float]] | None = None,
    **fields: Any,
) -> RunData:
    """Return the data of a run of two sound classes, with the counts or gauges of one changed."""
    names = ("Chat", "Market")
    classes = [
        UserClass(name=name, plan=plan(), promises=IDENTIFYING, **(fields.pop(name, {}))) for name in names
    ]
    of = fields_of(classes, several=True)
    made = manifest(run_plan=of.pop("plan"), **of, **fields)
    recorded = []
    for second in range(12):
        for name in names:
            counts = {**SOUND_COUNTS, **(changes or {}).get(name, {})} if second == 8 else {}
            of_class = {**SOUND_GAUGES, **(gauges or {}).get(name, {})}
            samples = {"service": [1000] * 50, "send_slip": [50], "loop_lag": [100]}
            recorded.append(
                pack(interval(second, counts=counts, gauges=of_class, samples_us=samples), user=name)
            )
    return gathered(recorded, made)


def rulings(verdict: Verdict) -> dict[str, Ruling]:
    """Return the ruling on each class."""
    return {name: one.verdict for name, one in verdict.classes.items()}


def test_sound_classes_pass() -> None:
    """Each with its items, but for those of the run."""
    verdict = judge(run_of())
    assert verdict.verdict is Ruling.PASS
    assert rulings(verdict) == {"Chat": Ruling.PASS, "Market": Ruling.PASS}
    own = [item.item for item in verdict.classes["Chat"].items]
    assert "connect" in own
    assert "server_log" not in own
    assert verdict.item("messaging").evidence.counts["sent"] == 2 * SOUND_COUNTS["messaging.sent"]


@pytest.mark.parametrize(
    ("count", "item"),
    [
        ("messaging.corrupted", "messaging"),
        ("reconnect.gave_up", "reconnect"),
        ("persistence.missing", "persistence"),
    ],
)
def test_a_class_that_fails_fails_the_run(count: str, item: str) -> None:
    """The other one passes, and the summary of the item names the class."""
    answered = {"messaging.answered": SOUND_COUNTS["messaging.answered"] - 40, "messaging.corrupted": 40}
    given_up = {"reconnect.resumed": SOUND_COUNTS["reconnect.resumed"] - 40, "reconnect.gave_up": 40}
    changes = {"messaging": answered, "reconnect": given_up, "persistence": {count: 40}}[item]
    verdict = judge(run_of({"Market": changes}))
    assert rulings(verdict) == {"Chat": Ruling.PASS, "Market": Ruling.FAIL}
    found = verdict.item(item)
    assert (verdict.verdict, found.verdict) == (Ruling.FAIL, Ruling.FAIL)
    assert found.summary.startswith("Market: ")
    assert "Chat" not in found.summary


def test_limits_are_those_of_a_class() -> None:
    """A limit that one class breaks is none of the other's."""
    verdict = judge(run_of(Market={"limits": {"p50": 0.5}}))
    assert rulings(verdict) == {"Chat": Ruling.PASS, "Market": Ruling.FAIL}
    assert verdict.latency.summary.startswith("Market: service p50 1 ms, limit 0.5 ms")
    assert judge(run_of(Market={"limits": {"p50": 1.5}})).verdict is Ruling.PASS


def test_each_class_is_compared_with_its_own_baseline() -> None:
    """The whole run is not: a quantile of two kinds of users says nothing."""
    baseline = run_of(revision="v0", run_id="00000000")
    verdict = judge(run_of(), baseline)
    compared = verdict.classes["Chat"].items[-1]
    assert compared.item == "latency"
    assert compared.evidence.gates
    assert verdict.latency.evidence.gates is None
    assert verdict.baseline == "v0"
    assert verdict.latency.evidence.baseline is not None
    assert verdict.latency.evidence.baseline.run_id == "00000000"


def test_the_servers_gauge_is_of_the_run() -> None:
    """It counts the connections of all classes, so none of them is blamed; the run fails."""
    leaking = ServerGauge(source="http://h/metrics#open", before=0, peak=200, after=90, waited_s=30)
    verdict = judge(run_of(server_gauge=leaking))
    assert verdict.item("cleanup").verdict is Ruling.FAIL
    assert rulings(verdict) == {"Chat": Ruling.PASS, "Market": Ruling.PASS}
    assert verdict.verdict is Ruling.FAIL
    sound = msgspec.structs.replace(leaking, after=0)
    assert judge(run_of(server_gauge=sound)).item("cleanup").verdict is Ruling.PASS


def test_sessions_of_different_classes_that_share_an_identity() -> None:
    """No class sees that alone, so it is judged for the run."""
    shared = SharedIdentities(sessions=2, ids=1, strays=1, unsaid=1, pairs=(("a", "b", "x"),))
    run = run_of()
    verdict = judge(replace(run, shared_identities=shared))
    assert verdict.item("connect").verdict is Ruling.FAIL
    assert "identity leak" in verdict.item("connect").summary


def test_engines_that_share_a_core_are_judged_together() -> None:
    """Each uses half of a core, which is the whole GIL: then no class's latency is judged."""
    verdict = judge(run_of(gauges={name: {"cpu_ratio": 0.5} for name in ("Chat", "Market")}))
    assert not verdict.generator.valid
    one = judge(run_of(gauges={"Chat": {"cpu_ratio": 0.5}}))
    assert one.generator.valid
    own = judge(run_of(gauges={"Chat": {"cpu_ratio": 0.9}}))
    assert not own.generator.valid


def test_it_is_read_as_it_was_written() -> None:
    """verdict.json has the classes; that of a run of one class does not."""
    verdict = judge(run_of())
    written = msgspec.json.encode(verdict)
    assert msgspec.json.encode(msgspec.json.decode(written, type=Verdict)) == written
    assert msgspec.json.decode(written)["users"].keys() == {"Chat", "Market"}
    assert b'"users"' not in msgspec.json.encode(judge(gathered([interval(1)])))


def run_with_idle(*, users: int, of_idle: int) -> RunData:
    """Return a run of two classes, of which one opened no connection.

    Args:
        users: of the sound one, 0 if a load shape decides.
        of_idle: users of the other.
    """
    numbers = {"Chat": users, "Market": of_idle}
    classes = [UserClass(name=name, plan=plan(users=given)) for name, given in numbers.items()]
    of = fields_of(classes, several=True)
    recorded = [
        pack(
            interval(second, counts=counts, gauges=gauges, samples_us={"send_slip": [50], "loop_lag": [100]}),
            user=name,
        )
        for second in range(12)
        for name, counts, gauges in (
            ("Chat", SOUND_COUNTS if second == 8 else {}, SOUND_GAUGES),
            ("Market", {}, {"loop_lag_max_ms": 0.5, "cpu_ratio": 0.1}),
        )
    ]
    return gathered(recorded, manifest(run_plan=of.pop("plan"), **of))


@pytest.mark.parametrize(("users", "told"), [(1, " (-u 1)"), (0, "")])
def test_a_class_without_users_leaves_the_run_inconclusive(users: int, told: str) -> None:
    """It was to be tested and was not: it is listed, and a note says why. So with a load shape."""
    verdict = judge(run_with_idle(users=users, of_idle=0))
    assert rulings(verdict) == {"Chat": Ruling.PASS, "Market": Ruling.INCONCLUSIVE}
    why = f"no user of Market was spawned{told}"
    items = verdict.classes["Market"].items
    assert {(item.verdict, item.summary) for item in items} == {(Ruling.NOT_JUDGED, why)}
    assert verdict.verdict is Ruling.INCONCLUSIVE
    assert verdict.notes[0] == why
    assert verdict.item("connect").verdict is Ruling.PASS


def test_a_class_whose_users_do_not_connect_is_judged() -> None:
    """Its users were spawned, and the server may be to blame."""
    verdict = judge(run_with_idle(users=1, of_idle=1))
    assert verdict.classes["Market"].items[0].verdict is not Ruling.NOT_JUDGED
    assert "no user" not in " ".join(verdict.notes)


# Pairs of runs: compare and duels.


def of_service(slower: float = 1.0, **fields: Any) -> RunData:
    """Return a run of which the service times of one class are slower, with enough replies for each gate."""
    names = ("Chat", "Market")
    classes = [UserClass(name=name, plan=plan(warmup_s=0.0), **fields.pop(name, {})) for name in names]
    of = fields_of(classes, several=True)
    made = manifest(run_plan=of.pop("plan"), **of, **fields)
    recorded = []
    for second in range(30):
        for name in names:
            factor = slower if name == "Market" else 1.0
            us = [int(factor * (10_000 + 37 * (number * 7919 % 100))) for number in range(100)]
            samples = {"service": us, "response": us, "send_slip": [50], "loop_lag": [100]}
            gauges = {"loop_lag_max_ms": 0.5, "cpu_ratio": 0.1, "sessions_up": 100.0}
            counts = {"messaging.sent": 100, "messaging.planned": 100, "messaging.answered": 100}
            one = interval(second, counts=counts, gauges=gauges, samples_us=samples)
            recorded.append(pack(one, user=name))
    return gathered(recorded, made)


@pytest.mark.parametrize(("slower", "ruling"), [(1.0, Ruling.PASS), (1.5, Ruling.FAIL)])
def test_pairs_of_runs_are_judged_by_class(slower: float, ruling: Ruling) -> None:
    """One class that got slower fails, though the replies of the other hide it in the percentiles of all."""
    pair = timing(of_service(revision="v0")), timing(of_service(slower))
    item = judge_pairs([pair] * 6)
    assert item.verdict is ruling, item.summary
    gates = {gate.gate: gate.decision for gate in item.evidence.gates or ()}
    assert gates["Chat service p50"] is Ruling.PASS
    assert gates["Market service p50"] is ruling
    assert item.summary.startswith("Market: " if ruling is Ruling.FAIL else "Chat: ")
    levels = item.evidence.levels
    assert levels is not None
    assert levels.correction.endswith(" gates of 2 user classes")
    assert len(item.evidence.runs or ()) == 6


def test_limits_of_a_class_are_judged_over_pairs() -> None:
    """They are in no manifest but the class's."""
    sound, broken = of_service(), of_service(Market={"limits": {"p50": 5.0}})
    assert judge_pairs([(timing(sound), timing(sound))] * 6).verdict is Ruling.PASS
    item = judge_pairs([(timing(sound), timing(broken))] * 6)
    assert item.verdict is Ruling.FAIL
    assert item.summary.startswith("Market: in 6 of 6 runs: service p50 ")


def test_few_pairs_are_judged_by_the_history_of_each_class() -> None:
    """Measured noise where it is known, an assumed one in the other class."""
    pair = timing(of_service(revision="v0")), timing(of_service())
    past = [
        PastRun(day="2026-11-01", values={gate.name: 1 + 0.01 * (n % 3) for gate in GATES}) for n in range(12)
    ]
    noise = judge_pairs([pair] * 2, class_histories={"Market": past}).evidence.noise or {}
    assert noise["Chat service p50"] == "5%, assumed"
    assert "from 12 runs" in noise["Market service p50"]


def test_error_levels_are_those_of_each_class() -> None:
    """A class with fewer gates shares its error among fewer: the largest level is told, each with its sum."""
    chat, market = (
        Item(
            item="latency",
            verdict=Ruling.PASS,
            summary="",
            evidence=LatencyEvidence(
                pairs=pairs,
                units=pairs,
                spoiled=["pair 3, baseline: cut"] if pairs == 5 else [],
                levels=ErrorLevels(pass_ratio=0.05, fail_ratio=ratio, correction=f"Bonferroni over {gates}"),
            ),
        )
        for pairs, ratio, gates in ((6, 0.0025, "10 gates"), (5, 0.005, "5 gates"))
    )
    joined = joined_latency({"Chat": chat, "Market": market}, []).evidence
    assert joined.levels == ErrorLevels(
        pass_ratio=0.05,
        fail_ratio=0.005,
        correction="Chat: Bonferroni over 10 gates; Market: Bonferroni over 5 gates",
    )
    assert (joined.pairs, joined.units, joined.spoiled) == (5, 5, ["pair 3, baseline: cut"])
    alike = joined_latency({"Chat": chat, "Market": chat}, []).evidence.levels
    assert alike == chat.evidence.levels
