"""The run directory: what is written of a run, read back, listed and chosen from.

    results/<revision>/<20261123T142335Z>-<run id>/
        run.json         the manifest; complete: false until the run was ended in good order
        latency.hlog     an HdrHistogram interval log, a line a second and tag
        events.jsonl     a line a lifecycle event
        intervals.jsonl  a line a second and process: counts, errors, gauges
        verdict.json     what was concluded; rebuilt from the files above

    directory    names of folders and files, and writing them safely
    environment  what the manifest says of host, versions and time
    hlog         the interval log's lines
    writer       a run as it goes
    reader       from the files to the evidence
    catalogue    which runs there are, and which is the baseline

The directory is the single truth: reports and verdicts are made from these files alone.
"""

from loadtest.run.catalogue import Catalogue, FoundRun, choose_baseline, earlier_runs, find_runs, resolve
from loadtest.run.directory import check_writable, write_verdict
from loadtest.run.environment import new_manifest, utc_text
from loadtest.run.reader import read_manifest, read_run, read_verdict
from loadtest.run.writer import RunWriter

__all__ = [
    "Catalogue",
    "FoundRun",
    "RunWriter",
    "check_writable",
    "choose_baseline",
    "earlier_runs",
    "find_runs",
    "new_manifest",
    "read_manifest",
    "read_run",
    "read_verdict",
    "resolve",
    "utc_text",
    "write_verdict",
]
