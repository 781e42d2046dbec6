"""The run directory: what a run writes while it runs, and what is read back from it.

    results/<revision>/<20261123T142335Z>-<run id>/
        run.json         the manifest; `complete` is false until the run has ended normally
        latency.hlog     an HdrHistogram interval log, one line per second and tag
        events.jsonl     one line per lifecycle event
        intervals.jsonl  one line per second and process: counts, errors, gauges
        drill-N.log      what the command of a drill printed, if there was one
        server_log.jsonl records kept from the server's log, if one was given
        verdict.json     the verdict; can be rebuilt from the files above

    manifest     run.json: plan, target, versions, host, comparability
    environment  host, versions and time, for the manifest
    interval     one process's interval, folded into histograms and ready to ship
    data         `RunData`: everything a run's files say, aggregated
    uptime, coincidence, loss_groups, drill_windows, drill_recovery
                 parts of `RunData`: losses and exposure, failed attempts that losses explain, and what drills
                 did in the times that belong to them
    directory    names of folders and files, and atomic writes
    hlog         lines of the interval log
    log_file     server_log.jsonl: the server's records, and the drops they are judged against
    writer       writes a run directory during the run
    reader       reads a run directory as `RunData`

The directory is the single source of truth: verdicts and reports are made from these files alone.
"""
