"""Verdicts: judge a run's data, item by item, as PASS, FAIL, INCONCLUSIVE or NOT_JUDGED. No I/O.

evidence   types of the evidence of each item; log_evidence has that of server_log
items      types of verdict.json, and functions that the items share
connect, stability, messaging, reconnect, persistence, cleanup, latency, server_log, health
           one item each: its limits and its rule
allowances, loss_evidence
           the rules of stability for losses, and its evidence
drill_rules
           what a drill adds to reconnect
item_changes
           what changed between two verdicts: fixed, broken, unchanged
push_rate, silence
           parts of messaging: the rate of pushes, and a server that never answers
causes     why attempts to connect failed, and what to do about it
limits     limits on times: each fails the item that it belongs to
completeness
           how much of a run there is: in one that lacks something, nothing passes
generator  whether the load generator was fit to measure; remedies has what to do if it was not
run        the verdict on a run
pooled     an item over the runs of a duel
"""
