"""The Locust plugin, the only importer of locust and gevent.

    user              WebSocketUser, the class that locustfiles subclass
    parser            the table of settings (loadtest.options) as options of Locust's parser
    load_settings     from those to what the engine and the run directory need, checked before anything starts
    configuration     the settings of this process's runs: user class and options
    roles             local, master or worker: which lifecycle a process has
    lifecycle         a process's runs, from Locust's events
    workers           the same of a master and of its workers
    worker_messages   what a master and its workers send each other
    load              this process's engine: sessions start and stop, intervals come out
    recording         the run directory of a local run or a master: intervals go in, the verdict comes out
    stats             Locust's own statistics as a view of the same data
    gevent_bridge     calls from the engine's native thread into gevent's
    log_watch         the server's log, followed while a run goes
    reference_server  the reference server of a run without a host
    web               bad settings refused in Locust's web form
    probe             a short run after a deploy, by Locust as a library

Nothing is imported here: importing locust patches the standard library.
"""
