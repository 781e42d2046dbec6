"""Settings of a run's output besides its verdict: a part of the table of settings (`loadtest.options`)."""

from typing import Final

from loadtest.setting import Setting
from loadtest.values import FilePath, Flag, OneOf, Whole

OUTPUT_ROWS: Final = (
    Setting("results", FilePath("DIR"), "results", "Folder for run directories.", in_web_form=False),
    Setting(
        "prometheus",
        Whole(1, 65_535, metavar="PORT"),
        None,
        "Serve the run's metrics for Prometheus at http://127.0.0.1:PORT/metrics, on this machine only. "
        "With workers, the master serves the metrics of all. See docs/metrics.md.",
        attribute="prometheus_port",
        in_web_form=False,
    ),
    Setting(
        "github",
        Flag(),
        False,
        "In GitHub Actions, whatever the verdict: append the summary to the job summary, annotate items "
        "that fail or cannot be judged, and set the step outputs verdict, run and report.",
        in_web_form=False,
    ),
    Setting(
        "summary",
        FilePath(),
        None,
        "Also write summary.md to this file, whatever the verdict, even if nothing was judged.",
        attribute="summary_file",
        in_web_form=False,
    ),
    Setting(
        "junit",
        FilePath(),
        None,
        "Also write junit.xml to this file, whatever the verdict, even if nothing was judged.",
        attribute="junit_file",
        in_web_form=False,
    ),
    Setting(
        "inconclusive-exit",
        OneOf((0, 1, 4)),
        4,
        "Exit code of an INCONCLUSIVE run. The verdict stays INCONCLUSIVE.",
        in_web_form=False,
        alias="--inconclusive-exit",
    ),
)
