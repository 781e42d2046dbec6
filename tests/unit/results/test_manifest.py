"""The manifest: what of a plan makes runs comparable, how run.json is read, and that it holds no secret."""

from __future__ import annotations

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from loadtest.drops.plan import Storm
from loadtest.results.manifest import Manifest, Plan, comparability_hash, differing_fields
from loadtest.statistics.margins import GATES, Margin, parse_margins
from tests.support.runs import PLAN, manifest, plan

# The manifest.


@pytest.mark.parametrize("size", [64, "64=9,100000=1"])
def test_sizes_of_messages_are_read_back_as_they_were_written(size: int | str) -> None:
    """A number or a text; each makes runs incomparable with the other."""
    one = manifest(run_plan=plan(message_bytes=size))
    assert msgspec.json.decode(msgspec.json.encode(one), type=Manifest).plan.message_bytes == size
    other = plan(message_bytes=size, rate=3.0)
    assert differing_fields(plan(message_bytes=65), other) == ["rate", "message_bytes"]


@pytest.mark.parametrize("size", [-1, 64.5, None, [64], "x" * 5000])
def test_other_sizes_are_refused(size: object) -> None:
    """A file that anyone may have written holds a number or a short text."""
    document = msgspec.json.decode(msgspec.json.encode(manifest()))
    document["plan"]["message_bytes"] = size
    with pytest.raises(msgspec.ValidationError, match="message_bytes"):
        msgspec.convert(document, Manifest)


def test_the_comparability_hash_ignores_order_host_revision_and_time() -> None:
    """Two runs of one plan are comparable, whatever they were run against and when."""
    one = manifest(run_plan=plan(drops={"close": 1.0, "fin": 2.0}))
    other = manifest(
        run_plan=plan(drops={"fin": 2.0, "close": 1.0}),
        revision="v2.0",
        target="ws://127.0.0.1:9",
        run_id="ffffffff",
        started_unix_ns=5,
    )
    assert one.comparability_hash == other.comparability_hash
    assert len(one.comparability_hash) == 64


@pytest.mark.parametrize("name", Plan.__struct_fields__)
def test_every_field_of_the_plan_makes_runs_incomparable(name: str) -> None:
    """A change of any field of the plan changes the hash and is named."""
    value = getattr(PLAN, name)
    match value:
        case dict():
            changed: object = {"fin": 3.0}
        case tuple():
            changed = (Storm(at_s=30.0, share_ratio=0.5),)
        case str():
            changed = value + "x"
        case None:
            changed = 60.0
        case _:
            changed = value + 1
    other = plan(**{name: changed})
    assert differing_fields(PLAN, other) == [name]
    assert manifest(run_plan=other).comparability_hash != manifest().comparability_hash


@pytest.mark.parametrize(
    ("duration_s", "known"),
    [
        (60.0, "42c2d6689447050cd755a2325f654ededf6a52c57b00d71683b31f0a4c9bb177"),
        (None, "f2f64a703a50f97f7aeb8aa5a39ff76e9a88e7584c8e587cad832e585b026ed4"),
    ],
)
def test_known_hashes(duration_s: float | None, known: str) -> None:
    """The hash of a plan may never change: stored baselines are found by it, those from before storms too."""
    assert comparability_hash(plan(duration_s=duration_s)) == known


@pytest.mark.parametrize("storms", [(), (Storm(at_s=30.0, share_ratio=0.5, kind="of their own"),)])
def test_a_manifest_survives_being_written_and_read(storms: tuple[Storm, ...]) -> None:
    """What run.json holds is what was put in, a kind of drop that this process does not know included."""
    one = manifest(run_plan=plan(storms=storms))
    assert msgspec.json.decode(msgspec.json.encode(one), type=Manifest) == one


@pytest.mark.parametrize("storm", ['{"at_s":-1,"share_ratio":0.5}', '{"at_s":1,"share_ratio":2}', '"0.5@30"'])
def test_storms_that_cannot_be_are_not_read(storm: str) -> None:
    """A manifest is foreign: a storm in it is within its bounds, or the manifest cannot be read."""
    plain = msgspec.to_builtins(manifest())
    plain["plan"]["storms"] = [msgspec.json.decode(storm)]
    with pytest.raises(msgspec.ValidationError, match=r"plan\.storms"):
        msgspec.convert(plain, type=Manifest)


@pytest.mark.parametrize(("name", "one"), [("storms", {"at_s": 1, "share_ratio": 0.5}), ("drills_at_s", 1)])
def test_a_plan_of_too_many_moments_is_not_read(name: str, one: object) -> None:
    """A report of 40,000 storms would take minutes."""
    plain = msgspec.to_builtins(manifest())
    plain["plan"][name] = [one] * 1000
    msgspec.convert(plain, type=Manifest)
    plain["plan"][name] = [one] * 1001
    with pytest.raises(msgspec.ValidationError, match=rf"plan\.{name}"):
        msgspec.convert(plain, type=Manifest)


@given(st.text(st.characters(codec="ascii", categories=["L", "N"]), min_size=8, max_size=30))
def test_no_manifest_holds_a_secret(text: str) -> None:
    """Wherever a token stands in the URL or in the path's query, run.json does not have it."""
    secret = f"SECRET{text}"
    for target, path in (
        (f"wss://{secret}@h/", "/ws"),
        (f"wss://u:{secret}@h/", f"/ws?token={secret}"),
        (f"wss://h/?token={secret}", f"/ws/{{session_id}}?thread_id={{thread_id}}&key={secret}"),
        (f"wss://h/#{secret}", f"/ws?{secret}#{secret}"),
    ):
        written = msgspec.json.encode(manifest(run_plan=plan(path=path), target=target)).decode()
        assert secret not in written


def test_the_paths_placeholders_stay() -> None:
    """What the dialect fills in is no secret and tells how sessions were addressed."""
    path = "/ws/{session_id}?thread_id={thread_id}"
    assert manifest(run_plan=plan(path=path)).plan.path == path


# As files keep them.


def test_margins_are_no_part_of_the_plan() -> None:
    """They change nothing of what was measured: runs with others stay comparable."""
    one, other = manifest(), manifest(margins={"service p50": Margin(0.5, 200)})
    assert one.comparability_hash == other.comparability_hash == comparability_hash(other.plan)
    assert other.gates == parse_margins(["p50=50%"])


def test_a_run_from_before_there_were_margins_has_the_defaults() -> None:
    """A run.json without them is read as ever; what it says of no gate is passed over."""
    plain = msgspec.to_builtins(manifest())
    del plain["margins"]
    assert msgspec.convert(plain, type=Manifest).gates == GATES
    plain["margins"] = {"service p42": {"relative_ratio": 0.5}}
    assert msgspec.convert(plain, type=Manifest).gates == GATES


@pytest.mark.parametrize(
    "margin",
    [
        '{"relative_ratio":-1}',
        '{"relative_ratio":0.1,"absolute_us":1e99}',
        "{}",
        '"8%"',
        '{"relative_ratio":2}',
    ],
)
def test_margins_that_cannot_be_are_not_read(margin: str) -> None:
    """A manifest is foreign: a margin in it is within its bounds, or the manifest cannot be read."""
    plain = {**msgspec.to_builtins(manifest()), "margins": {"service p50": msgspec.json.decode(margin)}}
    with pytest.raises(msgspec.ValidationError, match=r"margins\[\.\.\.\]"):
        msgspec.convert(plain, type=Manifest)
