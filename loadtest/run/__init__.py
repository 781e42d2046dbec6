"""The run directory: what is written of a run, read back, listed and chosen from.

    results/<revision>/<20261123T142335Z>-<run id>/
        run.json         the manifest; complete: false until the run was ended in good order
        latency.hlog     an HdrHistogram interval log, a line a second and tag
        events.jsonl     a line a lifecycle event
        intervals.jsonl  a line a second and process: counts, errors, gauges
        server_log.jsonl what is kept of the server's log, where one was given
        verdict.json     what was concluded; rebuilt from the files above

    directory    names of folders and files, and writing them safely
    environment  what the manifest says of host, versions and time
    hlog         the interval log's lines
    writer       a run as it goes
    reader       from the files to the evidence
    server_log   the server's log, and the drops it is judged against
    catalogue    which runs there are, and which is the baseline
    pinned       baselines that are kept

The directory is the single truth: reports and verdicts are made from these files alone.
"""

from loadtest.run.catalogue import (
    Baseline,
    Catalogue,
    Choice,
    FoundRun,
    PassedOver,
    Rule,
    choose_baseline,
    earlier_runs,
    find_runs,
    once,
    resolve,
    run_of_plan,
)
from loadtest.run.directory import check_writable, write_verdict
from loadtest.run.environment import new_manifest, utc_text
from loadtest.run.pinned import pin, unpin
from loadtest.run.reader import given_verdict, read_manifest, read_run, read_verdict
from loadtest.run.server_log import LogWriter, ServerLog, read_drops, read_server_log
from loadtest.run.writer import RunWriter

__all__ = [
    "Baseline",
    "Catalogue",
    "Choice",
    "FoundRun",
    "LogWriter",
    "PassedOver",
    "Rule",
    "RunWriter",
    "ServerLog",
    "check_writable",
    "choose_baseline",
    "earlier_runs",
    "find_runs",
    "given_verdict",
    "new_manifest",
    "once",
    "pin",
    "read_drops",
    "read_manifest",
    "read_run",
    "read_server_log",
    "read_verdict",
    "resolve",
    "run_of_plan",
    "unpin",
    "utc_text",
    "write_verdict",
]
