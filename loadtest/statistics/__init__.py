"""Judging latency: from one-second histograms to PASS, FAIL or "cannot tell yet".

The only home of scipy, which is imported at its first use. Pure: no clock, no file, and randomness comes in
as a generator.

    quantiles      one-second histograms as a matrix; percentiles
    bootstrap      how much a run's quantile varies by its own seconds
    margins        which quantiles are judged, and how much slower is still unchanged
    distributions  normal and Student's, from scipy
    comparison     pairs of runs against a margin, with the noise from run to run
    sequential     looking early without erring more often
    power          whether a plan can tell at all
    changes        change points in a series of runs
"""
