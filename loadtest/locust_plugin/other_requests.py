"""Requests of other users in the same run, such as an HttpUser: their failures count as they do in Locust.

Locust exits with `--exit-code-on-error` if a request failed or a user's task raised. The verdict's exit code
replaces that one, so this module adds the failures that the verdict does not cover.
"""

from dataclasses import dataclass
from typing import Any

from loadtest import text
from loadtest.locust_plugin.stats import METHOD


@dataclass(frozen=True, slots=True, kw_only=True)
class OtherRequests:
    """Requests outside the sessions, and exceptions of users.

    Args:
        made: number of requests.
        failed: number of failed requests.
        exceptions: number of exceptions that tasks raised.
    """

    made: int = 0
    failed: int = 0
    exceptions: int = 0

    @property
    def sound(self) -> bool:
        """Whether nothing failed."""
        return not (self.failed or self.exceptions)

    def __str__(self) -> str:
        """Return what failed, for people."""
        parts = []
        if self.failed:
            parts.append(f"{text.count(self.failed)} of {text.counted(self.made, 'other request')} failed")
        if self.exceptions:
            parts.append(f"user tasks raised {text.counted(self.exceptions, 'exception')}")
        return " and ".join(parts)


def other_requests(runner: Any) -> OtherRequests:
    """Return a runner's requests outside the sessions; on a master, those of all its workers."""
    rows = [row for (_, method), row in runner.stats.entries.items() if method != METHOD]
    return OtherRequests(
        made=sum(row.num_requests for row in rows),
        failed=sum(row.num_failures for row in rows),
        exceptions=sum(seen["count"] for seen in runner.exceptions.values()),
    )
