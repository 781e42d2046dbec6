"""Two deployments against each other: runs in turn or at once, pair by pair, until the verdict is settled.

    settings, foreseen
               what was asked for, and what is known of the runs before they are made
    steps      what comes next, given the pairs so far
    course     doing it
    processes, servers, runs
               what is started: servers from commands, Locust for each run
    prospect   whether it can tell at all, said before
    judging    the verdict, from the runs' files
    record     duel.json
    telling    lines while it goes, tables at its end

Each run is an ordinary one, made by headless Locust in a process of its own; Locust is never imported here.
"""
