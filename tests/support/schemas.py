"""JSON Schemas of the files of runs and duels, made from the types that write and read them.

`python -m tests.support.generate_docs` writes them to docs/schemas/. Descriptions come from the docstrings:
the first paragraph of a type, and its `Args:` for the fields.
"""

import inspect
import re
from collections.abc import Iterable, Iterator, Mapping
from typing import Any, NamedTuple, get_origin

import msgspec

from loadtest.duel.duel_record import EVIDENCE as DUEL_EVIDENCE
from loadtest.duel.duel_record import DuelRecord
from loadtest.report.summary_json import DYNAMIC
from loadtest.report.summary_json import FIELDS as FIELDS_OF_SUMMARY
from loadtest.results.manifest import Manifest
from loadtest.session.recorder import Lifecycle
from loadtest.verdict.items import EVIDENCE, Verdict


class File(NamedTuple):
    """A file of a run or a duel.

    Args:
        kind: the type that writes and reads it.
        title: title of the schema.
        evidence: types of evidence by item; empty if the file has no items.
    """

    kind: type[msgspec.Struct]
    title: str
    evidence: Mapping[str, Any] = {}


FILES = {
    "run": File(Manifest, "run.json: the plan, target, versions, host and times of a run"),
    "verdict": File(Verdict, "verdict.json: what was concluded, item by item", EVIDENCE),
    "events": File(Lifecycle, "A line of events.jsonl: what happened to a session"),
    "duel": File(DuelRecord, "duel.json: two deployments against each other", DUEL_EVIDENCE),
}
"""Files by name of their schema."""

_ITEM = "Item_Any_"
"""msgspec's name for an item with any evidence."""

_ARGUMENT = re.compile(r"^(\w+(?:, \w+)*): (.+(?:\n[ \t]+.+)*)", re.MULTILINE)


def schema(name: str) -> dict[str, Any]:
    """Return the JSON Schema (2020-12) of one of `FILES`."""
    file = FILES[name]
    kinds = (file.kind, *file.evidence.values())
    (reference, *evidence), definitions = msgspec.json.schema_components(kinds)
    documented = {struct.__name__: struct for struct in _structs(kinds)}
    for definition in definitions.values():
        struct = documented.get(definition["title"].partition("[")[0])
        if struct is not None:
            _describe(definition, struct)
    for definition in definitions.values():
        for form in definition.get("properties", {}).values():
            if "$ref" in form.get("propertyNames", ()):  # msgspec writes these from 0.23 on
                del form["propertyNames"]
    if file.evidence:
        definitions[_ITEM]["allOf"] = [
            {"if": {"properties": {"item": {"const": item}}}, "then": {"properties": {"evidence": kind}}}
            for item, kind in zip(file.evidence, evidence, strict=True)
        ]
    return {
        "$schema": "https://json-schema.org/draft/2020-12/schema",
        "title": file.title,
        **reference,
        "$defs": dict(sorted(definitions.items())),
    }


def summary_schema() -> dict[str, Any]:
    """Return the JSON Schema of summary.json, made from the table of its figures."""
    fields = {
        field.name: {
            "type": [field.type, "null"] if field.nullable else field.type,
            "description": field.meaning,
        }
        for field in FIELDS_OF_SUMMARY
    }
    counts = {
        f"^{family}_.+$": {"type": "integer", "description": meaning} for family, meaning in DYNAMIC.items()
    }
    of_class = {
        "type": ["string", "number", "null"],
        "description": "a figure of a user class, in a run of several: CLASS.NAME",
    }
    return {
        "$schema": "https://json-schema.org/draft/2020-12/schema",
        "title": "summary.json: a run's figures in one flat object",
        "type": "object",
        "properties": fields,
        "patternProperties": {**counts, r"^[^.]+\..+$": of_class},
        "required": list(fields),
    }


def _structs(kinds: Iterable[Any]) -> set[type[msgspec.Struct]]:
    """Return the Structs among these types and all types they contain, generic ones without arguments."""
    found: set[type[msgspec.Struct]] = set()
    seen: set[object] = set()
    waiting: list[object] = list(msgspec.inspect.multi_type_info(kinds))
    while waiting:
        one = waiting.pop()
        if isinstance(one, msgspec.inspect.StructType):
            if one.cls in seen:
                continue
            seen.add(one.cls)
            found.add(get_origin(one.cls) or one.cls)
        waiting += _parts(one)
    return found


def _parts(node: object) -> Iterator[object]:
    """Yield the types that a type contains directly."""
    if isinstance(node, tuple | list):
        yield from node
    elif isinstance(node, msgspec.Struct):
        yield from (getattr(node, name) for name in node.__struct_fields__)


def _describe(definition: dict[str, Any], struct: type[msgspec.Struct]) -> None:
    """Copy the docstrings of a type and its bases into its definition."""
    for kind in reversed(struct.__mro__):
        head, _, rest = inspect.cleandoc(kind.__doc__ or "").partition("\n\n")
        definition["description"] = _one_line(head)
        arguments = inspect.cleandoc(rest.partition("Args:\n")[2].partition("\n\n")[0])
        for names, meaning in _ARGUMENT.findall(arguments):
            for name in definition["properties"].keys() & set(names.split(", ")):
                definition["properties"][name]["description"] = _one_line(meaning)


def _one_line(text: str) -> str:
    return " ".join(text.split())
