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
    run_reporter      tells how a run goes: its progress every few seconds, its problems at once
    run_output        where that is told: a live view, plain lines, or log records
    live_screen       the live view's place on a terminal, below everything else that is printed
    problems          what goes wrong, by topic, in ever fewer lines
    stats             Locust's own statistics as a view of the same data
    locust_tables     Locust's tables on request only, and the rows of other requests at the end
    gevent_bridge     calls from the engine's native thread into gevent's
    held_thread       which of them stop Locust's thread
    log_watch         follows the server's log during a run
    drill_runner      runs commands during a run, such as a deploy
    drill_losses      what a run says of the connections that these end
    gauge_watch       reads the server's gauge of its connections around a run
    reference_server  the reference server of a run without a host
    live_views        live views of a run: the web page's tab, Prometheus, OpenTelemetry
    web               guards Locust's web page: who may ask, what a form may set, what an answer may hold
    web_tab           the tab "WebSocket": live view, start form, verdict, the report
    web_form          the fields of the start form, by group
    metrics_server    serves the metrics to a Prometheus server on this machine
    scrubbed_output   keeps secrets out of logs, tracebacks and Locust's tables
    hidden_arguments  starts Locust with arguments that process listings do not show
    load_locustfile   the user class of a locustfile, for commands
    check_dialect     one conversation by a dialect that someone is writing
    probe             a short run after a deploy, with Locust as a library

Nothing is imported here: importing locust patches the standard library.
"""
