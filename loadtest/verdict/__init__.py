"""Verdicts: from a run's data to PASS, FAIL, INCONCLUSIVE or NOT_JUDGED, item by item. Pure.

items      what a verdict is made of: verdict.json, as data
connect, messaging, reconnect, persistence, latency, server_log
           one item each: its limits, its rule, its evidence
generator  whether the load generator was fit to measure
run        the verdict on a run, and an item over the runs of a duel
"""
