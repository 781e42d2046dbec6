"""What differs between the runs of a baseline and those of a candidate, besides the server.

Runs whose plans differ are not compared: these differences are named by option, with both values. Runs from
different machines (processor, cores, operating system, versions of Python and the libraries), or of a script
that was edited, are compared in everything but latency. The others (target, memory, how the runs are judged)
do not prevent a comparison, but may explain its result.
Whatever is quoted may come from a file that anyone has written: it is cut to a line, and reports escape it.
Names are the tool's own.

Limits and allowances may differ, since both sides are judged by the candidate's. Other rules decide what a
run counts while it goes on: items that were judged by different ones cannot be compared.
"""

from collections.abc import Callable, Iterable, Mapping, Sequence

from msgspec import Struct

from loadtest.options import SETTINGS, options_of
from loadtest.results.environment import LIBRARIES
from loadtest.results.manifest import Manifest, Plan
from loadtest.results.origin import Host
from loadtest.setting import written
from loadtest.statistics.margins import margins_text
from loadtest.text import count, one_line

_VALUE_LENGTH = 80
_CODE_LENGTH = 8
_NOT_SET = "none"


class Difference(Struct, frozen=True, kw_only=True):
    """Something that differs between the runs of a baseline and of a candidate.

    Args:
        what: an option, or what differs in words.
        baseline, candidate: its values, as text; several of them if the runs of one side differ.
        in_plan: whether it belongs to the plan, so that the runs are not comparable.
    """

    what: str
    baseline: str
    candidate: str
    in_plan: bool = False

    def __str__(self) -> str:
        """Return both values in words: `--ws-rate 1 → 5`."""
        return f"{self.what} {self.baseline} → {self.candidate}"


def plan_differences(baseline: Sequence[Plan], candidate: Sequence[Plan]) -> list[Difference]:
    """Return the settings of the plan in which any of these runs differ, in the order of its fields."""
    found = []
    for name in Plan.__struct_fields__:
        before, after = ([getattr(plan, name) for plan in side] for side in (baseline, candidate))
        if any(value != after[-1] for value in (*before, *after)):
            (option,) = options_of([name])
            values = (_either(map(written, side)) for side in (before, after))
            found.append(Difference(what=option, baseline=next(values), candidate=next(values), in_plan=True))
    return found


def other_differences(baseline: Sequence[Manifest], candidate: Sequence[Manifest]) -> list[Difference]:
    """Return what differs between these runs and does not prevent a comparison."""
    sides = [[_surroundings(manifest) for manifest in side] for side in (baseline, candidate)]
    names = dict.fromkeys(name for side in sides for run in side for name in run)
    before, after = ({name: [run.get(name, "") for run in side] for name in names} for side in sides)
    found = list(filter(None, (_difference(name, before[name], after[name]) for name in names)))
    return [*found, *_known_differences(_code, baseline, candidate)]


def machine_differences(baseline: Sequence[Manifest], candidate: Sequence[Manifest]) -> list[Difference]:
    """Return what differs between the machines of these runs, so that their latency cannot be compared.

    The software that measured belongs to it. What is not known of a run, because an earlier version made it,
    is no difference.
    """
    return [*host_differences(baseline, candidate), *_known_differences(_versions, baseline, candidate)]


def host_differences(baseline: Sequence[Manifest], candidate: Sequence[Manifest]) -> list[Difference]:
    """Return those of `machine_differences` that a new version of the software does not make.

    They bound a history of runs: versions change every few weeks, and with them hardly ever what runs differ
    by.
    """
    return _known_differences(_host, baseline, candidate)


def script_differences(baseline: Sequence[Manifest], candidate: Sequence[Manifest]) -> list[Difference]:
    """Return the difference between the scripts of these runs, so that their latency cannot be compared.

    Runs without scripts have none: their plan says what they send.
    """
    found = _known_differences(_code, baseline, candidate)
    return [one for one in found if one.what == SCRIPT]


def _known_differences(
    read: Callable[[Manifest], Mapping[str, str]], baseline: Sequence[Manifest], candidate: Sequence[Manifest]
) -> list[Difference]:
    """Return the differences in what is known of both sides, by name."""
    before, after = ([read(manifest) for manifest in side] for side in (baseline, candidate))
    found = []
    for name in dict.fromkeys(name for run in (*before, *after) for name in run):
        known = [[run[name] for run in side if run.get(name)] for side in (before, after)]
        if all(known) and (difference := _difference(name, *known)):
            found.append(difference)
    return found


def differences(baseline: Sequence[Manifest], candidate: Sequence[Manifest]) -> list[Difference]:
    """Return all differences, those that prevent a comparison first."""
    of_plan = plan_differences([run.plan for run in baseline], [run.plan for run in candidate])
    return [*of_plan, *other_differences(baseline, candidate)]


def _difference(what: str, baseline: Sequence[str], candidate: Sequence[str]) -> Difference | None:
    if len({*baseline, *candidate}) <= 1:
        return None
    return Difference(what=what, baseline=_either(baseline), candidate=_either(candidate))


def _either(values: Iterable[str]) -> str:
    """Return the values of the runs of one side, each once."""
    return one_line(" or ".join(dict.fromkeys(value or _NOT_SET for value in values)), _VALUE_LENGTH)


_OUTSIDE_PLAN: Mapping[str, Callable[[Manifest], object]] = {
    "margins": lambda run: margins_text(run.gates),
    "drill_window_s": lambda run: run.drill_window_s if run.drills else None,
    "allow_losses": lambda run: run.allowed_losses,
    "limits": lambda run: run.time_limits,
    "cleanup_timeout_s": lambda run: run.cleanup_timeout_s,
    "pushes_per_s": lambda run: run.pushes_per_s,
    "server_metrics": lambda run: run.server_gauge and run.server_gauge.source,
    "subprotocol_optional": lambda run: run.subprotocol_optional,
}
"""Settings outside the plan by which runs are judged, by attribute."""


def _surroundings(manifest: Manifest) -> dict[str, str]:
    """Return where, with what and by which rules a run was made, by name."""
    host = manifest.host
    return {
        "target": manifest.target,
        "proxy": manifest.proxy or "",
        **_host(manifest),
        "host": _system(host, host.release),
        "memory": f"{count(host.memory_mb)} MiB" if host.memory_mb else "",
        "processes": str(max(1, len(manifest.workers))),
        "made by": manifest.made_by,
        "locustfile": manifest.locustfile or "",
        "drills": "; ".join(f"{drill.at_s:g}: {drill.command}" for drill in manifest.drills),
        "ended normally": "yes" if manifest.complete else "no",
        **{SETTINGS[name].option: written(read(manifest)) for name, read in _OUTSIDE_PLAN.items()},
        **_versions(manifest),
    }


def _system(host: Host, release: str) -> str:
    return f"{host.system} {release} {host.machine}".strip()


def _host(manifest: Manifest) -> dict[str, str]:
    """Return the machine that measured, by name; a value that is not known is empty."""
    host = manifest.host
    return {
        "host": _system(host, ".".join(host.release.split(".")[:2])),  # updates of one kernel are alike
        "CPU": host.model,
        "cores": str(host.cpus or ""),
    }


def _versions(manifest: Manifest) -> dict[str, str]:
    """Return the versions of the software that measured, by name."""
    return {
        f"version of {name}": manifest.versions[name]
        for name in ("python", *LIBRARIES)
        if name in manifest.versions
    }


SCRIPT = "the script's code"


def _code(manifest: Manifest) -> dict[str, str]:
    """Return the code of the user classes, of scripts if there are any; it is empty if it is not known."""
    classes = manifest.classes or (manifest,)
    scripted = [one for one in classes if one.plan.tasks]
    codes = dict.fromkeys(one.code for one in scripted or classes)
    known = [code[:_CODE_LENGTH] for code in codes if code]
    return {SCRIPT if scripted else "the locustfile's code": " + ".join(known)}


_COUNTED: Sequence[tuple[str, str, Callable[[Manifest], object]]] = (
    ("connect", "subprotocol_optional", lambda run: run.subprotocol_optional),
    ("messaging", "pushes_per_s", lambda run: run.pushes_per_s),
    ("cleanup", "cleanup_timeout_s", lambda run: run.cleanup_s),
    ("cleanup", "server_metrics", lambda run: "given" if run.server_gauge else None),
)
"""Rules by which a run counts while it goes on: the item, the setting, and its value in a run. Two servers
each have their own gauge, so only whether it was read is compared."""


def judged_otherwise(baseline: Sequence[Manifest], candidate: Sequence[Manifest]) -> dict[str, str]:
    """Return by item why its verdicts cannot be compared: `judged by different rules (--ws-… 2 → 5)`."""
    found: dict[str, list[Difference]] = {}
    for item, setting, read in _COUNTED:
        sides = ([written(read(run)) for run in side] for side in (baseline, candidate))
        if difference := _difference(SETTINGS[setting].option, next(sides), next(sides)):
            found.setdefault(item, []).append(difference)
    return {
        item: f"judged by different rules ({', '.join(map(str, differ))})" for item, differ in found.items()
    }
