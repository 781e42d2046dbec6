"""Settings where Locust is: the user class's attributes, and an error on the command line."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

from loadtest.options import SETTINGS
from tests.support.locusts import FreshLocust
from tests.support.places import ROOT


def test_the_user_class_has_every_setting() -> None:
    """Each row is an attribute with its type and its default, described; read where Locust may patch."""
    code = """
import json
from loadtest import WebSocketUser
types, values = WebSocketUser.__annotations__, WebSocketUser.values()
print(json.dumps([list(types), values, WebSocketUser.__doc__]))
"""
    told = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, cwd=ROOT, check=True)
    types, values, described = json.loads(told.stdout)
    defaults = {name: row.default for name, row in SETTINGS.items()}
    assert types == list(SETTINGS)
    assert values == json.loads(json.dumps(defaults))
    assert all(f"    {name}: " in described for name in SETTINGS)


def test_a_bad_value_in_the_environment_is_one_clear_line(tmp_path: Path) -> None:
    """What is wrong is a usage error wherever it comes from; it is named as an option."""
    with FreshLocust(tmp_path, seconds=5, environment={"LOCUST_WS_STORM": "200%@30"}) as locust:
        finished = locust.wait(30)
    assert finished.exit_code == 2, finished.output
    errors = [line for line in finished.output.splitlines() if line.startswith("Error: ")]
    assert errors == ["Error: --ws-storm share must be above 0 and at most 1 (100%) (got '200%@30')"]
    assert "Traceback" not in finished.output
