"""`loadtest baseline`: the run that others are compared with."""

from pathlib import Path

import click

from loadtest.cli.shared_options import json_option, print_sheet_as, results_option


@click.group()
def baseline() -> None:
    """Pin the run that others are compared with, or see which one that would be.

    A run is compared with what was asked for (--ws-baseline), else with the run pinned for its plan, else
    with the newest complete run of another revision with its plan that can be compared with: that has enough
    samples, was made by a load generator that kept up, and did not itself fail connect, messaging or latency.
    """


@baseline.command("set")
@click.argument("run")
@results_option
@json_option
def baseline_set(run: str, results: Path, as_json: bool) -> None:
    """Pin RUN, a run directory or a revision, for its plan, in place of what is pinned for it.

    A copy goes to DIR/baselines, which git tracks; its reports can be made again with `loadtest report`.
    What speaks against comparing with RUN is told; it is pinned all the same.

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
    """Show which run RUN would be compared with and why, what is passed over, and all pinned runs.

    RUN is a run directory, a revision, or the beginning of a plan's comparability hash; by default the newest
    run.

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
    """Remove the pinned copy of RUN, a run, its id or a revision; without RUN, all of them.

    The runs themselves stay.
    """
    from loadtest.runs import pins

    change = pins.clear_baselines(run, results)
    print_sheet_as(pins.change_sheet(change), change, as_json=as_json)
