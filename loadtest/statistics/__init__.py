"""Judging latency: from one-second histograms to PASS, FAIL or INCONCLUSIVE.

The only home of scipy, which is imported at first use. Pure: no clock and no files; randomness is passed in
as a generator.

    quantiles      one-second histograms as a matrix; percentiles
    bootstrap      sampling variance of a run's quantile, from its own seconds
    margins        which quantiles are judged, and how much slower still counts as unchanged
    time_limits    how long a quantile of a run may be, whatever others were
    distributions  the normal and Student's t distribution, from scipy
    comparison     pairs of runs against a margin, with run-to-run noise
    sequential     early looks without a higher error rate
    power          whether a planned comparison can reach a verdict
    exact_test     whether an event is more frequent in one group than in another
    changes        change points in a series of runs
"""
