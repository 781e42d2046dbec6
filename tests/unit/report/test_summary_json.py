"""summary.json: flat, by its schema, with the figures of the other reports, null where none is carried."""

import json
from pathlib import Path
from typing import Any

import pytest
from jsonschema import Draft202012Validator

from loadtest.report.judged_run import JudgedRun
from loadtest.report.summary_json import FIELDS, HEAD_FIELDS, summary_json
from loadtest.results.data import RunData
from loadtest.results.log_file import LogWriter
from loadtest.runs.publish import publish
from loadtest.serverlog.extract import KeptRecord, ReadStats
from loadtest.serverlog.records import Level
from loadtest.serverlog.rules import LogClass
from loadtest.verdict.run import judge
from tests.support.rundirs import HOSTILE, write_run, write_server_log
from tests.support.runs import SOUND_COUNTS, gathered, interval, manifest, plan, sound
from tests.support.schemas import summary_schema
from tests.unit.report.test_user_class_reports import judged as of_two_classes


def judged(run: RunData) -> JudgedRun:
    """Return a run with its verdict."""
    return JudgedRun(path=Path("results/v1/run"), results=Path("results"), run=run, verdict=judge(run))


def summary(of: JudgedRun) -> dict[str, Any]:
    """Return the content of summary.json, which must fit its schema and be flat."""
    found: dict[str, Any] = json.loads(summary_json(of))
    Draft202012Validator(summary_schema()).validate(found)
    assert not [value for value in found.values() if isinstance(value, dict | list)]
    return found


def test_its_schema_is_one() -> None:
    """Valid JSON Schema 2020-12, and every figure is described."""
    made = summary_schema()
    Draft202012Validator.check_schema(made)
    assert all(form["description"] for form in made["properties"].values())


def test_the_schema_finds_what_does_not_fit() -> None:
    """A figure that is missing, of another type, or nested."""
    found = summary(judged(sound()))
    check = Draft202012Validator(summary_schema())
    wrongs: list[dict[str, Any]] = [
        *({"sent": "many"}, {"drops_close": None}, {"verdict": None}, {"Chat.sent": {}}),
    ]
    for wrong in wrongs:
        assert not check.is_valid({**found, **wrong}), wrong
    assert not check.is_valid({name: value for name, value in found.items() if name != "service_p99_ms"})


def test_the_order_is_that_of_the_table() -> None:
    """Fixed names first, always all of them, then drops and losses by kind."""
    full, empty = (list(summary(judged(run))) for run in (sound(), gathered([])))
    assert full[: len(FIELDS)] == empty[: len(FIELDS)] == [field.name for field in FIELDS]
    assert full[len(FIELDS) :] == ["drops_close", "drops_reset"]


def test_figures_are_those_of_the_run() -> None:
    """Counts, verdicts of items, and drops by kind."""
    run = sound({"losses.1006": 3, "messaging.late": 2, "messaging.lost": 1})
    found = summary(judged(run))
    assert found["verdict"] == found["item_messaging"] == "FAIL"
    assert found["exit_code"] == 1
    assert (found["item_server_log"], found["item_health"]) == ("NOT_JUDGED", None)
    assert (found["sent"], found["failed"], found["lost_messages"]) == (5000, 2, 1)
    assert (found["drops"], found["drops_close"], found["drops_reset"]) == (200, 100, 100)
    assert (found["losses"], found["losses_1006"]) == (3, 3)
    assert (found["attempts"], found["sessions"]) == (300, 100)
    assert found["sent_per_s"] == round(5000 / run.length_s, 3)


@pytest.mark.parametrize(("usage_error", "code"), [(False, 5), (True, 2)])
def test_what_ended_a_run_has_its_exit_code(usage_error: bool, code: int) -> None:
    """A dashboard that repeats what is inconclusive must not repeat for ever what the tool cannot do."""
    broken = manifest(failure="no event loop", usage_error=usage_error, complete=False)
    found = summary(judged(gathered([interval(0)], broken)))
    assert (found["exit_code"], found["failure"], found["verdict"]) == (code, "no event loop", "INCONCLUSIVE")
    sound_one = summary(judged(sound()))
    assert (sound_one["exit_code"], sound_one["failure"]) == (0, None)


def test_each_finding_has_a_figure() -> None:
    """A run that fails by a wrong push or a forgotten history has more than zeros."""
    counts = {
        **SOUND_COUNTS,
        "messaging.late": 2,
        "messaging.unmatched": 2,
        "messaging.unreadable": 3,
        "messaging.pushes_missing": 4,
        "messaging.pushes_foreign": 5,
        "persistence.history_missing": 6,
        "persistence.missing": 7,
        "cleanup.close_not_closed": 8,
        "cleanup.half_open_late": 9,
    }
    of = manifest(cleanup_timeout_s=5.0)
    found = summary(judged(gathered([interval(0, counts=counts)], of)))
    assert (found["unmatched"], found["unreadable"], found["wrong_pushes"]) == (2, 3, 9)
    assert found["untimed"] == SOUND_COUNTS.get("messaging.lost", 0) + 2
    assert (found["persistence_findings"], found["cleanup_findings"]) == (13, 17)


def test_what_is_not_carried_is_null() -> None:
    """99 samples have a p90, not a p99; the maximum is always there."""
    of = manifest(run_plan=plan(warmup_s=0.0))
    samples = {"service": range(1000, 100_000, 1000), "outage": [1_500_000] * 20}
    found = summary(judged(gathered([interval(0, samples_us=samples)], of)))
    assert found["service_samples"] == 99
    assert found["service_p90_ms"] == pytest.approx(89, rel=0.01)
    assert found["service_p99_ms"] is None
    assert found["service_max_ms"] == pytest.approx(99, rel=0.01)
    assert found["outage_p95_s"] == pytest.approx(1.5, rel=0.001)
    assert found["outage_p99_s"] is None
    assert (found["connect_samples"], found["connect_max_ms"], found["log_errors"]) == (0, None, None)


def test_a_planned_drop_that_was_not_made_counts_zero() -> None:
    """A name that a dashboard reads is there in each run of the plan."""
    found = summary(judged(sound({"drops.reset": 0})))
    assert found["drops_reset"] == 0


def test_user_classes_have_their_figures_with_their_name() -> None:
    """Each class has all figures of its own after the run's, flat."""
    found = summary(of_two_classes(corrupted=40))
    assert found["verdict"] == found["Market.verdict"] == found["Market.item_messaging"] == "FAIL"
    assert found["Chat.item_messaging"] == "PASS"
    assert found["Market.failed"] == found["failed"] == 40
    assert found["Chat.sent"] + found["Market.sent"] == found["sent"]
    assert found["Chat.drops_close"] == SOUND_COUNTS["drops.close"]
    assert not {f"Chat.{field.name}" for field in HEAD_FIELDS} & set(found)


def test_what_a_file_says_is_no_markup_and_no_nesting() -> None:
    """Kinds and causes become words, texts stay JSON, numbers finite, names few."""
    counts = {f"losses.{number}{HOSTILE}"[:190]: 1 for number in range(3)}
    counts |= {f"drops.{number}.x y": 2 for number in range(500)}
    first = interval(0, counts=counts, gauges={"sessions_up": 1e308, "session_s": 1e308})
    second = interval(1, gauges={"session_s": 1e308})
    of = manifest(revision=HOSTILE, target=f"wss://host/{HOSTILE}")
    data = summary_json(judged(gathered([first, second], of)))
    assert data.isascii()
    assert not any(byte < 32 and byte != 10 for byte in data)
    found = json.loads(data, parse_constant=lambda name: pytest.fail(name))
    assert len(found) < len(FIELDS) + 60
    assert all(name.replace("_", "").isalnum() for name in found)
    assert found["losses"] == 3
    assert sum(count for name, count in found.items() if name.startswith("drops_")) == found["drops"] == 1000


def test_a_written_run_has_the_figures_of_its_log(tmp_path: Path) -> None:
    """Errors of the server's log within the run, as `server_log` judged them."""
    path = write_run(tmp_path, seconds=20)
    write_server_log(path, wrong_kind="reset")
    written = publish(path, results=tmp_path)
    found = json.loads((path / "summary.json").read_bytes())
    assert found == summary(written)
    assert found["item_server_log"] == "FAIL"
    assert found["log_errors"] == found["log_disconnect_errors"] == 2 * found["drops_reset"] > 0
    assert found["log_real_errors"] == 0


def test_errors_without_a_time_are_among_the_errors(tmp_path: Path) -> None:
    """The whole is not less than its parts: they have no second, and the verdict counts them."""
    path = write_run(tmp_path, seconds=20)
    error = KeptRecord(level=Level.ERROR, log_class=LogClass.REAL_ERROR, text="no such column", line=1)
    with LogWriter(path) as writer:
        writer.append([error] * 3)
        writer.finish(ReadStats(files=["server.log"]))
    found = summary(publish(path, results=tmp_path))
    assert (found["log_errors"], found["log_real_errors"], found["log_disconnect_errors"]) == (3, 3, 0)
