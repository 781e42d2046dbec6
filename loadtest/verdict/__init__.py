"""Verdicts: from a run's evidence to PASS, FAIL, INCONCLUSIVE or NOT_JUDGED, item by item. Pure.

    items        what a verdict is made of
    connect, messaging, reconnect, persistence, latency
                 one item each: its limits, its rule, its evidence
    timing       what of a run its latency is judged by
    books        whether what was begun has ended, once
    suitability  how fit a run is to be compared with
    pooled       one item over the runs of a duel
    trend        where in a series of runs the latency changed
    generator    whether the load generator was fit to measure
    whole        all of it

`server_log` is judged where the log is read (`loadtest.serverlog`) and handed in.
"""
