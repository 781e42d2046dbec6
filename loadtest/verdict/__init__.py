"""Verdicts: judge a run's data, item by item, as PASS, FAIL, INCONCLUSIVE or NOT_JUDGED. No I/O.

evidence   types of the evidence of each item; log_evidence has that of server_log
items      types of verdict.json, and functions that the items share
connect, messaging, reconnect, persistence, cleanup, latency, server_log
           one item each: its limits and its rule
limits     limits on times: each fails the item that it belongs to
generator  whether the load generator was fit to measure
run        the verdict on a run, and an item pooled over the runs of a duel
"""
