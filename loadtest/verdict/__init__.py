"""Verdicts: from a run's data to PASS, FAIL, INCONCLUSIVE or NOT_JUDGED, item by item. Pure.

evidence   what each item rests on, as data
items      verdict.json as data, and what the rules share
connect, messaging, reconnect, persistence, latency, server_log
           one item each: its limits and its rule
generator  whether the load generator was fit to measure
run        the verdict on a run, and an item over the runs of a duel
"""
