"""Files of docs/ that are made from the code: they are current, and the schemas are true."""

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from jsonschema import Draft202012Validator

from loadtest.runs.publish import publish
from tests.support.generate_docs import DOCS, PAGES
from tests.support.places import VERDICTS
from tests.support.rundirs import write_run, write_server_log
from tests.support.schemas import FILES, schema


@pytest.mark.parametrize("name", PAGES)
def test_generated_docs_are_current(name: str) -> None:
    """If not: python -m tests.support.generate_docs."""
    assert (DOCS / name).read_text(encoding="utf-8") == PAGES[name]()


def errors(name: str, document: object) -> list[str]:
    """Return what a schema says against a document."""
    return [error.message for error in Draft202012Validator(schema(name)).iter_errors(document)]


@pytest.mark.parametrize("name", FILES)
def test_schemas_are_schemas(name: str) -> None:
    """Each is valid JSON Schema 2020-12, and every field of every object is described."""
    made = schema(name)
    Draft202012Validator.check_schema(made)
    fields: Iterator[tuple[str, dict[str, Any]]] = (
        (f"{kind}.{field}", form)
        for kind, definition in made["$defs"].items()
        for field, form in definition.get("properties", {}).items()
    )
    assert [field for field, form in fields if "$ref" not in form and not form.get("description")] == []


def test_a_run_fits_its_schemas(tmp_path: Path) -> None:
    """run.json, verdict.json and each line of events.jsonl of a run with a server log."""
    run = write_run(tmp_path)
    write_server_log(run)
    publish(run, results=tmp_path)
    assert errors("run", json.loads((run / "run.json").read_text())) == []
    verdict = json.loads((run / "verdict.json").read_text())
    assert errors("verdict", verdict) == []
    assert {item["item"] for item in verdict["items"] if item["evidence"]} >= {"connect", "server_log"}
    lines = (run / "events.jsonl").read_text().splitlines()
    assert len(lines) > 10
    assert [error for line in lines for error in errors("events", json.loads(line))] == []


@pytest.mark.parametrize(
    ("name", "file"),
    [
        ("verdict", "failed"),
        ("verdict", "unlike"),
        ("verdict", "empty"),
        ("duel", "duel"),
        ("duel", "duel_without_pairs"),
    ],
)
def test_files_of_the_first_version_fit(name: str, file: str) -> None:
    """What 0.1 wrote fits, too."""
    assert errors(name, json.loads((VERDICTS / f"{file}.json").read_text())) == []


def test_what_does_not_fit_is_found() -> None:
    """A wrong verdict, a missing field, evidence of another type; new items and fields are allowed."""
    verdict = json.loads((VERDICTS / "failed.json").read_text())
    assert errors("verdict", {**verdict, "verdict": "FINE"})
    assert errors("verdict", {key: value for key, value in verdict.items() if key != "items"})
    first, *rest = verdict["items"]
    damaged = {**first, "evidence": {**first["evidence"], "counts": {"attempts": "many"}}}
    assert errors("verdict", {**verdict, "items": [damaged, *rest]})
    unknown = {**first, "item": "colour", "evidence": {"hue": 1}}
    assert errors("verdict", {**verdict, "items": [*verdict["items"], unknown], "new": 1}) == []
