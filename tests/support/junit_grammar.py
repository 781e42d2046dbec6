"""The grammar of JUnit's XML, as its two published schemas describe it, in tables of our own.

    ANT       JUnit.xsd of github.com/windyroad/JUnit-Schema: what Ant's tasks write
    JENKINS   junit-10.xsd of github.com/jenkinsci/xunit-plugin: what Jenkins reads, and pytest writes

Each element has its attributes, of which some must be given, with the form of their values, and the sequence
of its children as a regular expression over their names.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from xml.etree.ElementTree import Element

ANY = r"(?s:.*)"
FILLED = r"(?s:.*\S.*)"
INT = r"\s*[+-]?\d+\s*"
DECIMAL = r"\s*[+-]?(\d+(\.\d*)?|\.\d+)\s*"
MOMENT = r"[0-9]{4}-(0[1-9]|1[0-2])-(0[1-9]|[12]\d|3[01])T([01]\d|2[0-3]):[0-5]\d:[0-5]\d"
SUREFIRE_TIME = r"(([0-9]{0,3},)*[0-9]{3}|[0-9]{0,3})*(\.[0-9]*)?"


@dataclass(frozen=True)
class Form:
    """An element: attributes that must and that may be given, children, and whether it may hold text."""

    required: Mapping[str, str]
    optional: Mapping[str, str]
    children: str = ""
    text: bool = False


_PROPERTIES = Form({}, {}, r"(property )*")
_OUTPUT = Form({}, {}, text=True)

ANT: Mapping[str, Form] = {
    "testsuites": Form({}, {}, r"(testsuite )*"),
    "testsuite": Form(
        {
            "package": ANY,
            "id": INT,
            "name": FILLED,
            "timestamp": MOMENT,
            "hostname": FILLED,
            "tests": INT,
            "failures": INT,
            "errors": INT,
            "time": DECIMAL,
        },
        {"skipped": INT},
        r"properties (testcase )*system-out system-err ",
    ),
    "properties": _PROPERTIES,
    "property": Form({"name": FILLED, "value": ANY}, {}),
    "testcase": Form({"name": ANY, "classname": ANY, "time": DECIMAL}, {}, r"(skipped |error |failure )?"),
    "skipped": Form({}, {"message": ANY, "type": ANY}, text=True),  # anything at all
    "error": Form({"type": ANY}, {"message": ANY}, text=True),
    "failure": Form({"type": ANY}, {"message": ANY}, text=True),
    "system-out": _OUTPUT,
    "system-err": _OUTPUT,
}

_PROBLEM = Form({}, {"message": ANY, "type": ANY}, text=True)

JENKINS: Mapping[str, Form] = {
    "testsuites": Form(
        {},
        {"name": ANY, "time": SUREFIRE_TIME, "tests": ANY, "failures": ANY, "errors": ANY},
        r"(testsuite )*",
    ),
    "testsuite": Form(
        {"name": ANY, "tests": ANY, "failures": ANY, "errors": ANY},
        {
            "time": SUREFIRE_TIME,
            **dict.fromkeys(("group", "skipped", "timestamp", "hostname"), ANY),
            **dict.fromkeys(("id", "package", "file", "log", "url"), ANY),
        },
        r"((testsuite|properties|testcase|system-out|system-err) )*",
    ),
    "properties": _PROPERTIES,
    "property": Form({"name": ANY, "value": ANY}, {}),
    "testcase": Form(
        {"name": ANY},
        {"time": ANY, "classname": ANY, "group": ANY},
        r"((skipped|error|failure|system-out|system-err) )*",
    ),
    "skipped": _PROBLEM,
    "error": _PROBLEM,
    "failure": _PROBLEM,
    "system-out": _OUTPUT,
    "system-err": _OUTPUT,
}


def breaches(element: Element, grammar: Mapping[str, Form]) -> Iterator[str]:
    """Yield what the grammar does not admit in an element and in those below it."""
    form = grammar.get(element.tag)
    if form is None:
        yield f"unknown element {element.tag}"
        return
    admitted = {**form.required, **form.optional}
    for name in form.required.keys() - element.keys():
        yield f"{element.tag} lacks {name}"
    for name, value in element.items():
        if name not in admitted:
            yield f"{element.tag} has {name}"
        elif not re.fullmatch(admitted[name], value):
            yield f"{element.tag} has {name}={value!r}"
    if not form.text and any((text or "").strip() for text in (element.text, *(one.tail for one in element))):
        yield f"{element.tag} holds text"
    children = "".join(f"{child.tag} " for child in element)
    if not re.fullmatch(form.children, children):
        yield f"{element.tag} holds {children}"
    for child in element:
        yield from breaches(child, grammar)
