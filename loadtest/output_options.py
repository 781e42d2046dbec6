"""Settings of what a run leaves and shows beside its verdict: rows of the table in `loadtest.options`."""

from typing import Final

from loadtest.setting import Setting
from loadtest.values import FilePath, Flag, OneOf, Whole

OUTPUT_ROWS: Final = (
    Setting("results", FilePath("DIR"), "results", "Folder for run directories.", in_web_form=False),
    Setting(
        "prometheus",
        Whole(1, 65_535, metavar="PORT"),
        None,
        "Serve metrics of the run to a Prometheus server on this machine: http://127.0.0.1:PORT/metrics. "
        "With workers, the master serves those of all. See docs/metrics.md.",
        attribute="prometheus_port",
        in_web_form=False,
    ),
    Setting(
        "github",
        Flag(),
        False,
        "For a step of GitHub Actions, whatever the verdict: append the summary to the job's, annotate "
        "what fails or cannot be judged, and set the outputs verdict, run and report.",
        in_web_form=False,
    ),
    Setting(
        "summary",
        FilePath(),
        None,
        "Also write summary.md to this file, whatever the verdict, and even if nothing could be judged.",
        attribute="summary_file",
        in_web_form=False,
    ),
    Setting(
        "junit",
        FilePath(),
        None,
        "Also write junit.xml to this file, whatever the verdict, and even if nothing could be judged.",
        attribute="junit_file",
        in_web_form=False,
    ),
    Setting(
        "inconclusive-exit",
        OneOf((0, 1, 4)),
        4,
        "Exit code of an INCONCLUSIVE run. The verdict itself stays INCONCLUSIVE.",
        in_web_form=False,
        alias="--inconclusive-exit",
    ),
)
