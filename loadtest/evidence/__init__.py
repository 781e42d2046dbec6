"""Evidence: what is written of a run, as data, and what a verdict is made from. Pure.

manifest    run.json: plan, target, versions, host, comparability
interval    one process's interval, folded, on its way to the run directory
recovery    how a run's storms went
facts       everything a run's files say, summed up
gathering   from intervals, histograms and events to the facts
"""

from loadtest.evidence.facts import SECONDS_TAGS, STEADY_TAGS, Evidence, OutageGroup, Second, Series
from loadtest.evidence.interval import MalformedInterval, PackedInterval, cleaned, pack
from loadtest.evidence.manifest import (
    SCHEMA,
    Host,
    Manifest,
    Plan,
    WorkerShare,
    comparability_hash,
    differing_fields,
    redact,
)
from loadtest.evidence.recovery import StormRecovery

__all__ = [
    "SCHEMA",
    "SECONDS_TAGS",
    "STEADY_TAGS",
    "Evidence",
    "Host",
    "MalformedInterval",
    "Manifest",
    "OutageGroup",
    "PackedInterval",
    "Plan",
    "Second",
    "Series",
    "StormRecovery",
    "WorkerShare",
    "cleaned",
    "comparability_hash",
    "differing_fields",
    "pack",
    "redact",
]
