"""Judging latency: from one-second histograms to PASS, FAIL or "cannot tell yet".

The only home of numpy and scipy. Pure: no clock, no file, and randomness comes in as a generator.

    intervals    one-second histograms as a matrix; percentiles
    bootstrap    how much a run's quantile varies by its own seconds
    noise        how much it varies from run to run
    looks        judging early without erring more often
    gates        which quantiles are judged, and their margins
    comparison   pairs of runs against a margin
    feasibility  whether a plan can tell at all
    trend        change points in a series of runs
"""
