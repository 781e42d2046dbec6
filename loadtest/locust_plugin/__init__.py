"""The Locust plugin, the only importer of locust and gevent.

    user              WebSocketUser, the class that locustfiles subclass
    parser            the table of settings (loadtest.options) as options of Locust's parser
    load_settings     settings for the engine and the run directory, checked before anything starts
    configuration     the settings of this process's runs: user class and options
    roles             local, master or worker: which lifecycle a process has
    lifecycle         starts and ends a process's runs on Locust's events
    workers           the lifecycles of a master and its workers
    worker_messages   the messages between a master and its workers
    load              this process's engine: starts and stops sessions, delivers intervals
    recording         the run directory of a local run or a master: intervals in, verdict out
    revision          the revision of the server under test, as the server or CI names it
    stats             Locust's own statistics as a view of the same data
    gevent_bridge     calls from the engine's native thread into gevent's
    log_watch         follows the server's log during a run
    drill_runner      runs commands during a run, such as a deploy
    drill_losses      what a run says of the connections that these end
    gauge_watch       reads the server's gauge of its connections around a run
    reference_server  the reference server of a run without a host
    web               refuses bad settings in Locust's web form
    load_locustfile   the user class of a locustfile, for commands
    check_dialect     one conversation by a dialect that someone is writing
    probe             a short run after a deploy, with Locust as a library

Nothing is imported here: importing locust patches the standard library.
"""
