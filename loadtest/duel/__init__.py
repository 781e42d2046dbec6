"""Compare two deployments by pairs of runs, in turn or at the same time, until the verdict is settled.

    settings        the settings of a duel
    locust_options  the settings that the user has made for Locust
    duel            runs a duel, pair by pair
    pairing         the runs of a pair, their order, and when servers restart
    stopping        decides the next step from the pairs so far
    judging         the verdict, from the runs' files
    duel_record     duel.json
    servers         starts, restarts and stops the servers given as commands
    locust_runs     starts Locust for each run
    logged_process  a child process with a log

    forecast        power forecast: the changes that the pairs can detect
    output          progress lines, and tables at the end

Each run is a normal run, made by headless Locust in its own process; Locust is never imported here.
"""
