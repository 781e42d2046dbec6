"""The number of examples of property tests: chosen by the profile, in one place."""

import re

from tests.support.places import ROOT

OWN_SETTINGS = re.compile(r"max_examples=|@settings\(")


def test_no_test_sets_its_number_of_examples_itself() -> None:
    """It would ignore the profile: fewer examples for developers, all of them in CI."""
    tests = set((ROOT / "tests").rglob("test_*.py"))
    own = {path.name for path in tests if OWN_SETTINGS.search(path.read_text())}
    assert own - {"test_effort.py"} == set()
