"""Statistics for judging latency: from one-second histograms to PASS, FAIL or INCONCLUSIVE.

Only this package uses scipy, which is imported at first use. Pure: no clock and no files; randomness is
passed in as a generator.

    quantiles      one-second histograms as a matrix; percentiles
    bootstrap      sampling variance of a run's quantile, from its own seconds
    margins        what is judged (the gates), and how much worse still counts as unchanged
    measured_run   a run's histograms and losses, and the value of each gate
    noise          how much a value differs from run to run: assumed, or measured over earlier runs
    time_limits    fixed limits on a run's quantiles, without a baseline
    distributions  the probability distributions used, from scipy
    rule           the rule for PASS and FAIL, error levels, more pairs
    sufficiency    whether runs have what a gate needs
    time_changes   change of a quantile or of the drift, with its spread
    event_counts   change of a rate of events that come in clusters
    mode_boundary  a quantile between two groups of replies
    gate_comparison  the result of a gate, and how it is written
    time_gates     gates on times
    rate_gates     gates on slow replies and losses
    comparison     all gates over pairs of runs: the entry point to the above
    sequential     early looks without a higher error rate
    power          whether a planned comparison can reach a verdict
    rate_power     the same for slow replies and losses, by simulation
    exact_test     whether an event is more frequent in one group than in another
    changes        change points in a series of runs
    creep          whether a series of runs has risen above its first level
"""
