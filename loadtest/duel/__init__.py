"""Two deployments against each other: runs in turn or at once, pair by pair, until the verdict is settled.

    settings        what was asked for
    duel            doing it, pair by pair
    stopping        what comes next, given the pairs so far
    judging         the verdict, from the runs' files; duel.json
    servers         servers started from commands
    locust_runs     Locust, for each run
    logged_process  a child process with a log
    output          lines while it goes, tables at its end

Each run is an ordinary one, made by headless Locust in a process of its own; Locust is never imported here.
"""
