"""Evidence: what is written of a run, as data, and what a verdict is made from. Pure.

manifest    run.json: plan, target, versions, host, comparability
interval    one process's interval, folded, on its way to the run directory
recovery    how a run's storms went
facts       everything a run's files say, summed up
gathering   from intervals, histograms and events to the facts
"""
