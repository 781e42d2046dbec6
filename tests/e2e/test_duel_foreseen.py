"""What a duel takes to be usual is what the default user has."""

from __future__ import annotations

import json
import subprocess
import sys
from dataclasses import astuple

from loadtest.duel.settings import USUAL, Foreseen
from tests.support.places import ROOT


def test_the_usual_is_what_the_default_user_has() -> None:
    """Read where Locust may patch the standard library."""
    names = list(Foreseen.__dataclass_fields__)
    code = f"""
import json
from loadtest.duel.user.locustfile import DefaultUser
values = DefaultUser.values()
print(json.dumps([values[name] for name in {names!r}]))
"""
    told = subprocess.run(
        [sys.executable, "-c", code],
        capture_output=True,
        text=True,
        cwd=ROOT,
        check=True,
    )
    assert json.loads(told.stdout) == list(astuple(USUAL))
