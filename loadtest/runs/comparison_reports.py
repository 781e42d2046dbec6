"""The folder of a comparison, and the reports in it.

The name of the folder consists of the ids of the runs, so a repeated comparison writes into the same folder.
"""

from pathlib import Path

from loadtest import regular_files
from loadtest.errors import ResultsUnwritable
from loadtest.report.advice import duel_command, latency_step
from loadtest.report.comparison_junit import comparison_junit
from loadtest.report.comparison_markdown import comparison_summary
from loadtest.report.comparison_page import comparison_html
from loadtest.report.judged_comparison import JudgedComparison, PairMade
from loadtest.report.pair_sums import PairSums
from loadtest.results.directory import COMPARISONS, folder_name, write_json, writing
from loadtest.ruling import Ruling
from loadtest.runs.compare import Compared, headline

REPORT = "report.html"
COMPARISON = "comparison.json"


def judged_comparison(compared: Compared, drawn: PairSums) -> JudgedComparison:
    """Return a comparison of `loadtest compare` in the form for its reports.

    Args:
        compared: the comparison.
        drawn: the data for its charts.
    """
    several = len(compared.pairs) > 1
    runs = [compared.baseline, compared.candidate]
    return JudgedComparison(
        made_by="compare",
        verdict=compared.verdict,
        baseline=compared.baseline.revision,
        candidate=compared.candidate.revision,
        started_at=min(run.started_at for pair in compared.pairs for run in (pair.baseline, pair.candidate)),
        headline=headline(compared),
        remarks=[*(compared.item.evidence.spoiled or ()), *([] if several else map(str, runs))],
        commands=[*filter(None, [duel_command(compared.item)])],
        latency=compared.item,
        changes=compared.changes,
        differences=compared.differences,
        pairs=[
            PairMade(baseline=Path(pair.baseline.path), candidate=Path(pair.candidate.path), first=first)
            for pair, first in zip(compared.pairs, drawn.firsts, strict=True)
        ],
        drawn=drawn,
        next_step=latency_step(compared.item) if compared.verdict is Ruling.INCONCLUSIVE else "",
    )


def folder_of(compared: Compared, results: Path) -> Path:
    """Return the folder of a comparison: `comparisons/0a1b2c3d..4e5f6071`, with `-4-pairs` if there are 4.

    Args:
        compared: the comparison. The name has the ids of the first baseline and of the last candidate.
        results: the folder of all runs.
    """
    first, last = compared.pairs[0].baseline, compared.pairs[-1].candidate
    ids = f"{folder_name(first.run_id)}..{folder_name(last.run_id)}"
    several = f"-{len(compared.pairs)}-pairs" if len(compared.pairs) > 1 else ""
    return results / COMPARISONS / f"{ids}{several}"


def write_comparison(folder: Path, compared: Compared, judged: JudgedComparison) -> Path:
    """Write comparison.json and the reports of a comparison into its folder; return report.html.

    Raises:
        ResultsUnwritable: something cannot be written, or the folder of all comparisons is a link.
    """
    with writing(folder):
        if folder.parent.name == COMPARISONS and folder.parent.is_symlink():
            raise ResultsUnwritable(folder.parent, "is a link, not a folder")
        folder.mkdir(parents=True, exist_ok=True)
    write_json(folder / COMPARISON, compared)
    return write_comparison_reports(folder, judged)


def write_comparison_reports(folder: Path, judged: JudgedComparison) -> Path:
    """Write summary.md, junit.xml and report.html of a comparison into its folder; return report.html.

    Raises:
        ResultsUnwritable: one of them cannot be written.
    """
    for name, data in (
        ("summary.md", comparison_summary(judged).encode()),
        ("junit.xml", comparison_junit(judged)),
        (REPORT, comparison_html(judged, folder).encode()),
    ):
        file = folder / name
        with writing(file):
            regular_files.replace(file, data)
    return folder / REPORT
