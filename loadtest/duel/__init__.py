"""Compare two deployments by pairs of runs, in turn or at the same time, until the verdict is settled.

    settings        the settings of a duel
    locust_options  what the user has set for Locust
    duel            runs a duel, pair by pair
    pairing         which runs a pair has, in which order, and when servers restart
    stopping        decides what comes next, given the pairs so far
    judging         the verdict, from the runs' files
    duel_record     duel.json
    servers         starts, restarts and stops the servers given as commands
    locust_runs     starts Locust for each run
    logged_process  a child process with a log
    forecast        what the pairs can detect
    output          progress lines, and tables at the end

Each run is an ordinary one, made by headless Locust in its own process; Locust is never imported here.
"""
