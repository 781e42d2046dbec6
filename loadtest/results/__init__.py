"""The run directory: what a run writes as it goes, and what is read back from it.

    results/<revision>/<20261123T142335Z>-<run id>/
        run.json         the manifest; complete: false until the run was ended in good order
        latency.hlog     an HdrHistogram interval log, a line a second and tag
        events.jsonl     a line a lifecycle event
        intervals.jsonl  a line a second and process: counts, errors, gauges
        server_log.jsonl what is kept of the server's log, where one was given
        verdict.json     what was concluded; rebuilt from the files above

    manifest     run.json: plan, target, versions, host, comparability
    environment  what the manifest says of host, versions and time
    interval     one process's interval, folded, on its way to the directory
    data         everything a run's files say, summed up
    directory    names of folders and files, and writing them safely
    hlog         the interval log's lines
    log_file     server_log.jsonl: the server's records, and the drops they are judged against
    writer       a run as it goes
    reader       from the files to `RunData`

The directory is the single truth: verdicts and reports are made from these files alone.
"""
