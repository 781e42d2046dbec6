"""Runs of several user classes: what run.json says of each, and what the files are read as."""

from __future__ import annotations

from typing import Any

import msgspec
import pytest

from loadtest.results.gathering import NAMES_LIMIT, Gathering
from loadtest.results.hlog import tag_of
from loadtest.results.interval import pack, public_name
from loadtest.results.manifest import Manifest, Plan, Promises, UserClass
from loadtest.results.user_classes import alike, fields_of, manifest_of, plan_of_all
from loadtest.scrubber import Secrets
from loadtest.session.recorder import NAMES_LIMIT as NAMES_OF_REQUESTS
from loadtest.session.recorder import Lifecycle, name_of, name_tag
from tests.support.runs import gathered, interval, manifest, plan

CHAT = UserClass(name="Chat", plan=plan(users=2, sessions_per_user=5), promises=None)
MARKET = UserClass(
    name="Market",
    plan=plan(
        users=3, sessions_per_user=2, dialect="echo", path="/market", rate=10.0, drops={}, warmup_s=0.0
    ),
    promises=Promises(ordered=True, identifies=False, pushes=True),
    limits={"p99": 200.0},
)


def of_both(*classes: UserClass) -> Manifest:
    """Return the manifest of a run of these classes, of both by default."""
    fields = fields_of(classes or (CHAT, MARKET), several=True)
    return manifest(run_plan=fields.pop("plan"), **fields)


def test_a_run_of_one_class_says_nothing_of_classes() -> None:
    """Its run.json is as ever."""
    assert b"user_classes" not in msgspec.json.encode(manifest())
    assert manifest().classes == ()
    assert manifest().sessions == manifest().plan.sessions == 100
    assert fields_of([CHAT], several=False)["plan"] == CHAT.plan


def test_a_manifest_is_read_as_it_was_written() -> None:
    """With the classes, in order, and the sessions of all."""
    made = of_both()
    read = msgspec.json.decode(msgspec.json.encode(made), type=Manifest)
    assert read == made
    assert [one.name for one in read.classes] == ["Chat", "Market"]
    assert read.sessions == 16


@pytest.mark.parametrize("change", [{"rate": 11.0}, {"users": 4}, {"path": "/other"}])
def test_runs_are_comparable_if_all_classes_have_the_same_plans(change: dict[str, Any]) -> None:
    """The order of the classes is no difference, a plan of one class is, and so is its name."""
    other = msgspec.structs.replace(MARKET, plan=msgspec.structs.replace(MARKET.plan, **change))
    assert of_both().comparability_hash == of_both(MARKET, CHAT).comparability_hash
    assert of_both().comparability_hash != of_both(CHAT, other).comparability_hash
    renamed = msgspec.structs.replace(MARKET, name="Prices")
    assert of_both().comparability_hash != of_both(CHAT, renamed).comparability_hash


def test_a_class_has_a_manifest_of_its_own() -> None:
    """By which it is judged as if it were a run of its own; what belongs to the run is the run's."""
    own = manifest_of(of_both(), MARKET)
    assert own.classes == ()
    assert (own.plan, own.limits, own.promises) == (MARKET.plan, MARKET.limits, MARKET.promises)
    assert own.run_id == manifest().run_id
    alone = manifest(run_plan=MARKET.plan)
    assert own.comparability_hash == alone.comparability_hash


def test_the_plan_of_all_puts_differences_side_by_side() -> None:
    """It is for people: what is alike stays, numbers of users are added up."""
    both = plan_of_all([CHAT.plan, MARKET.plan])
    assert (both.dialect, both.users, both.backoff) == ("emergence + echo", 5, CHAT.plan.backoff)
    assert plan_of_all([CHAT.plan, CHAT.plan]) == msgspec.structs.replace(CHAT.plan, users=4)
    compressing = msgspec.structs.replace(MARKET.plan, compression="on", ping_interval_s=30.0)
    pinging = msgspec.structs.replace(MARKET.plan, ping_interval_s=20.0)
    three = plan_of_all([CHAT.plan, compressing, pinging])
    assert (three.compression, three.ping_interval_s) == ("off + on", 20.0)
    shared = alike([CHAT.plan, MARKET.plan])
    assert "backoff" in shared
    assert {"dialect", "path", "users", "sessions_per_user", "rate"}.isdisjoint(shared)


def test_what_a_manifest_of_a_class_hides() -> None:
    """Values in the query of a class's path are as secret as those of a run's."""
    hostile = msgspec.structs.replace(CHAT, plan=plan(path="/ws?token=abcdefgh12345678"))
    made = UserClass(**{name: getattr(hostile, name) for name in UserClass.__struct_fields__})
    assert "abcdefgh" not in made.plan.path


def _of(user: str, second: int, worker: int | None = None, **fields: Any) -> Any:
    return pack(interval(second, **fields), worker, user=user)


def test_a_run_is_the_sum_of_its_classes() -> None:
    """Counts, samples and events are added up; each class has its own, with its own warm-up."""
    lived = [Lifecycle(at_ns=1, event="attempt", session="a")]
    found = gathered(
        [
            _of("Chat", 1, counts={"messaging.sent": 3}, samples_us={"service": [5]}, lifecycle=lived),
            _of("Market", 1, counts={"messaging.sent": 4}, samples_us={"service": [7, 7]}),
            _of("Chat", 9, counts={"messaging.sent": 1}, samples_us={"service": [9]}),
        ],
        of_both(),
    )
    assert found.count("messaging.sent") == 8
    assert {name: own.count("messaging.sent") for name, own in found.classes.items()} == {
        "Chat": 4,
        "Market": 4,
    }
    assert found.classes["Chat"].percentiles_us("service", (100,)) == {100: 9}  # its warm-up is 5 s
    assert found.classes["Market"].samples("service") == 2
    assert found.classes["Chat"].attempts_per_s == found.attempts_per_s == {0: 1}
    assert not found.classes["Market"].attempts_per_s
    assert gathered([interval(1)]).classes == {}


def test_gauges_are_joined_though_the_classes_end_one_after_the_other() -> None:
    """A worker's last seconds come class by class; a class may have two intervals in its last."""
    recorded = [
        _of("Chat", second, 0, gauges={"sessions_up": up}) for second, up in ((7, 2.0), (8, 2.0), (9, 1.0))
    ]
    recorded.insert(1, _of("Market", 7, 0, gauges={"sessions_up": 5.0}))
    recorded.append(_of("Chat", 9, 0, gauges={"sessions_up": 1.0}))
    recorded += [_of("Market", second, 0, gauges={"sessions_up": 5.0}) for second in (6, 8, 9)]
    series = gathered(recorded, of_both()).gauges["sessions_up"][0]
    assert list(series.at_s) == [6.0, 7.0, 8.0, 9.0, 9.0]
    assert list(series.values) == [5.0, 7.0, 7.0, 6.0, 1.0]


def test_gauges_of_a_process_are_joined() -> None:
    """Sessions and the CPU of the engines are added up, of delays the longest counts; workers stay apart."""
    found = gathered(
        [
            _of("Chat", 1, 0, gauges={"sessions_up": 2.0, "cpu_ratio": 0.5, "loop_lag_max_ms": 3.0}),
            _of("Chat", 1, 1, gauges={"sessions_up": 1.0}),
            _of("Market", 1, 0, gauges={"sessions_up": 5.0, "cpu_ratio": 0.25, "loop_lag_max_ms": 1.0}),
            _of("Chat", 2, 0, gauges={"sessions_up": 3.0, "cpu_ratio": 0.1}),
        ],
        of_both(),
    )
    assert list(found.gauges["sessions_up"][0].values) == [7.0, 3.0]
    assert list(found.gauges["sessions_up"][1].values) == [1.0]
    assert list(found.gauges["cpu_ratio"][0].values) == [0.75, 0.1]
    assert list(found.gauges["loop_lag_max_ms"][0].values) == [3.0]
    assert list(found.classes["Market"].gauges["sessions_up"][0].values) == [5.0]


def test_a_class_that_run_json_does_not_know_is_of_the_run_only() -> None:
    """A file may name any."""
    found = gathered(
        [_of("Stranger", 7, counts={"messaging.sent": 3}, samples_us={"service": [5]})], of_both()
    )
    assert found.count("messaging.sent") == 3
    assert found.classes.keys() == {"Chat", "Market"}
    assert found.samples("service") == 0


# Names of requests.


@pytest.mark.parametrize("name", ["query", "a b", "50%", "a,b", "größe", "a/b:c", "%2C"])
def test_a_name_is_a_tag_and_read_again(name: str) -> None:
    """Its tag has neither commas nor spaces, which separate the fields of latency.hlog."""
    tag = name_tag(name)
    assert not {",", " ", "\t", "\n"} & set(tag)
    assert name_of(tag) == name
    assert tag_of("Chat", tag).startswith("Chat/named/")


def _named(second: int, **samples_us: int) -> Any:
    recorded = interval(second)
    for name, many in samples_us.items():
        for _ in range(many):
            recorded.named.setdefault(name, recorded.samples["service"][:0]).append(1000)
    return pack(recorded, names={name: name for name in samples_us})


def test_named_requests_have_histograms_after_the_warm_up() -> None:
    """The most frequent first."""
    found = gathered([_named(1, query=9), _named(7, query=1, write=3), _named(8, query=1)])
    assert list(found.name_tags.values()) == ["write", "query"]
    assert found.samples(name_tag("query")) == 2


def test_a_limit_on_a_name_is_that_of_the_classes_that_have_it() -> None:
    """An option gives it to all; one on a name that no class has may be misspelled, and stays."""
    limits = {"query:p99": 200.0, "qurey:p99": 200.0, "p50": 100.0}
    both = [msgspec.structs.replace(one, limits=limits) for one in (CHAT, MARKET)]
    recorded = interval(7)
    recorded.named["query"] = recorded.samples["service"][:0]
    recorded.named["query"].append(1000)
    found = gathered(
        [pack(recorded, user="Chat", names={"query": "query"}), _of("Market", 7)], of_both(*both)
    )
    assert set(found.classes["Chat"].manifest.limits) == set(limits)
    assert set(found.classes["Market"].manifest.limits) == {"qurey:p99", "p50"}


def test_names_are_limited() -> None:
    """A dialect may name each request otherwise, and a file may hold any number of names."""
    gathering = Gathering(manifest())
    assert NAMES_OF_REQUESTS < NAMES_LIMIT
    for number in range(5 * NAMES_OF_REQUESTS):
        gathering._is_known(name_tag(f"request {number}"))
    assert gathering._names == 2 * NAMES_OF_REQUESTS


def test_a_name_holds_no_secret_and_is_short() -> None:
    """It comes from the user's dialect, which may take it from anywhere."""
    secrets = Secrets(["abcdefgh12345678"])
    assert "abcdefgh" not in public_name("query abcdefgh12345678", secrets)
    assert len(public_name("x" * 500, secrets)) == 60
    assert "\n" not in public_name("a\nb", secrets)


def test_names_that_only_a_secret_tells_apart_are_one() -> None:
    """Their samples are added up."""
    recorded = interval(7)
    for name in ("one", "two"):
        recorded.named[name] = recorded.samples["service"][:0]
        recorded.named[name].append(1000)
    packed = pack(recorded, names={"one": "***", "two": "***"})
    assert gathered([packed]).samples(name_tag("***")) == 2


def test_the_plan_of_a_hostile_file_is_limited() -> None:
    """Each class has histograms of its own: no file has thousands."""
    many = tuple(msgspec.structs.replace(CHAT, name=f"C{number}") for number in range(51))
    made = msgspec.structs.replace(of_both(), user_classes=many)
    with pytest.raises(msgspec.ValidationError, match="length <= 50"):
        msgspec.json.decode(msgspec.json.encode(made), type=Manifest)
    assert isinstance(made.plan, Plan)
