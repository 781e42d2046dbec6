"""Runs with a verdict.json and hardly any data: enough for histories, baselines and trends, and quick."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import msgspec

from loadtest.results.environment import utc_text
from loadtest.results.origin import Host
from loadtest.results.writer import RunWriter
from loadtest.ruling import Ruling
from loadtest.runs.verdict_file import write_verdict
from loadtest.session.schedule import NS_PER_S
from loadtest.verdict.evidence import LatencyEvidence
from loadtest.verdict.gate_evidence import GateResult
from loadtest.verdict.items import Generator, Item, Verdict
from tests.support.recorded_runs import begun

DAY_S = 86_400
HOST = Host(system="Linux", release="6.1", machine="x86_64", cpus=2, model="Model A")
OTHER_HOST = msgspec.structs.replace(HOST, cpus=8, model="Model B")

VALUES: Mapping[str, float] = {"service p50": 2000.0, "service p90": 4000.0, "service p99": 9000.0}
"""Values of a run, as verdict.json has them."""


def judged_run(
    results: Path,
    run_id: str,
    revision: str,
    *,
    at_s: int,
    values: Mapping[str, float] | None = VALUES,
    latency: Ruling = Ruling.PASS,
    valid: bool = True,
    evidence: Mapping[str, Any] | None = None,
    **of: Any,
) -> Path:
    """Write a run with a verdict; return its directory.

    Args:
        results: folder of run directories.
        run_id, revision, at_s: as for `begun`.
        values: values of its gates, None for a verdict of an earlier version.
        latency: verdict on latency, and on all its gates.
        valid: whether the load generator kept up.
        evidence: further evidence of latency.
        of: fields of the manifest that replace the usual ones.
    """
    manifest = msgspec.structs.replace(begun(run_id, revision, at_s=at_s), host=HOST)
    with RunWriter(results, msgspec.structs.replace(manifest, **of)) as writer:
        writer.finish(
            utc_text(manifest.started_unix_ns + 60 * NS_PER_S),
            of.get("missing_workers", ()),
            ended_early=of.get("ended_early"),
        )
    gates = [GateResult(gate=name, decision=latency) for name in values or ()]
    found = LatencyEvidence(
        values=dict(values) if values is not None else None, gates=gates, **evidence or {}
    )
    item = Item(item="latency", verdict=latency, summary=f"latency {latency}", evidence=found)
    write_verdict(
        writer.path,
        Verdict(
            revision=revision,
            baseline=None,
            items=[item],
            generator=Generator(valid=valid),
            verdict=latency,
        ),
    )
    return writer.path
