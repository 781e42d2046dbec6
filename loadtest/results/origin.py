"""Where a run was made: the machine that generated the load, and what each of its processes contributed."""

from typing import Annotated

from msgspec import Meta, Struct

Text = Annotated[str, Meta(max_length=4096)]
Count = Annotated[int, Meta(ge=0, le=2**63 - 1)]


class Host(Struct, frozen=True, kw_only=True):
    """The machine that generated the load.

    Args:
        system: operating system, as in `uname`.
        release: release of the operating system, as in `uname`.
        machine: hardware type, as in `uname`.
        cpus: number of logical CPUs.
        model: name of the CPU's model, empty if it is not known or an earlier version wrote the file.
        memory_mb: total memory in MiB.
    """

    system: Text = ""
    release: Text = ""
    machine: Text = ""
    cpus: Count = 0
    model: Text = ""
    memory_mb: Count = 0


class WorkerShare(Struct, frozen=True, kw_only=True):
    """What one process contributed to a run.

    Args:
        worker: number of the worker, null in a run of one process.
        intervals: number of intervals it delivered.
        sent: messages it sent.
        answered: messages that were answered.
    """

    worker: int | None
    intervals: Count
    sent: Count
    answered: Count
