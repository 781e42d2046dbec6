"""`loadtest baseline`: pin, show or clear the run that other runs are compared with."""

from pathlib import Path

import click

from loadtest.cli.shared_options import json_option, print_sheet_as, results_option


@click.group()
def baseline() -> None:
    """Pin the run that other runs are compared with, or show it.

    The baseline of a run is the first of these: the run given with --ws-baseline; the run pinned for its
    plan; the newest sound run of another revision with the same plan, preferably on the same machine. A run
    is sound if it is complete, has enough samples, its load generator kept up, connect and messaging did not
    fail, and latency is PASS or was not compared for want of another run. If no run is sound, the best one is
    used.

    A run whose latency was FAIL or INCONCLUSIVE is never chosen, so that a series of releases, each a little
    slower, is compared with the last good one. If there are only such runs, latency is INCONCLUSIVE until you
    pin one. A run without a revision ('unnamed') is never chosen or pinned: its server may be any version.
    """


@baseline.command("set")
@click.argument("run")
@results_option
@json_option
def baseline_set(run: str, results: Path, as_json: bool) -> None:
    """Pin RUN as the baseline of its plan.

    RUN is a run directory, a run id or a revision, which means its newest complete run. It is copied to
    DIR/baselines, which git tracks, and replaces the plan's pinned run. `loadtest report` writes the reports
    of a copy. If RUN is a poor baseline, a warning says why.

    \b
    Example:
      loadtest baseline set v1.4.1
    """
    from loadtest.runs import pins

    change = pins.set_baseline(run, results)
    print_sheet_as(pins.change_sheet(change), change, as_json=as_json)


@baseline.command("show")
@click.argument("run", required=False)
@results_option
@json_option
def baseline_show(run: str | None, results: Path, as_json: bool) -> None:
    """Show the baseline of RUN and the reason for it.

    RUN is a run directory, a run id, a revision or the beginning of a plan's hash; by default the newest
    complete run. The runs that were not chosen and all pinned runs are shown, too.

    \b
    Examples:
      loadtest baseline show
      loadtest baseline show v1.4.2 --json | jq -r .baseline.path
    """
    from loadtest.runs import pins

    choice = pins.show_baseline(run, results)
    print_sheet_as(pins.choice_sheet(choice), choice, as_json=as_json)


@baseline.command("clear")
@click.argument("run", required=False)
@results_option
@json_option
def baseline_clear(run: str | None, results: Path, as_json: bool) -> None:
    """Remove the pinned copies of RUN, or all of them.

    RUN is a run directory, a run id or a revision. The original runs stay.
    """
    from loadtest.runs import pins

    change = pins.clear_baselines(run, results)
    print_sheet_as(pins.change_sheet(change), change, as_json=as_json)
