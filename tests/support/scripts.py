"""What tests of scripts share: the dialect of the server `desk`, and scripts without Locust."""

from __future__ import annotations

import json
from collections.abc import Callable
from typing import Any

from loadtest import Dialect, DialectSession, Failed, Push, Reply, StreamPart
from loadtest.events import Data
from loadtest.session.script import Script, Tasks


class Leave(Exception):
    """Leaves a TaskSet, as Locust's exception does."""


class DeskDialect(Dialect):
    """The dialect of `tests/support/strangers/desk.py`."""

    name = "desk"
    ordered = False
    pushes = True

    def request(self, session: DialectSession, sequence: int) -> str:
        """Ask."""
        return json.dumps({"id": sequence, "ask": session.text(sequence)})

    def read(self, session: DialectSession, data: Data) -> Any:
        """Read what the desk says."""
        said = json.loads(data)
        if "error" in said:
            return Failed(said["re"], said["error"])
        if "re" in said:
            return Reply(said["re"], said["text"]) if "text" in said else Reply(said["re"])
        if "part" in said:
            return StreamPart(said["part"])
        return Push(number=said.get("tick"), sent_at_ms=said.get("at"))


def script(
    *tasks: Callable[..., Any] | Tasks, wait_s: Callable[[Any], float] = lambda _: 0.01, **others: Any
) -> Script:
    """Return the script of a class `Tester` with these tasks."""
    return Script(
        tasks=Tasks(name="Tester", tasks=tasks, wait_s=wait_s, **others),
        weights={getattr(task, "__name__", "tasks"): 1 for task in tasks},
        leave=Leave,
    )
