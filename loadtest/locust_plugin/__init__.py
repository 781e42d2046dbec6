"""The Locust plugin: the only package that imports locust and gevent.

    user              WebSocketUser, the class that locustfiles subclass
    parser            adds the table of settings (loadtest.options) to Locust's command line
    load_settings     settings for the engine and the run directory, checked before anything starts
    configuration     the settings of this process's runs: user class and options
    agreement         settings and names that the user classes of a run share
    roles             local, master or worker: which lifecycle a process has
    lifecycle         starts and ends a process's runs on Locust's events
    workers           the lifecycles of a master and its workers
    worker_messages   the messages between a master and its workers
    load              this process's engine: starts and stops sessions, delivers intervals
    recording         the run directory of a local run or a master: intervals in, verdict out
    revision          finds the revision of the server under test
    run_reporter      reports a run's progress every few seconds, and its problems at once
    run_output        where reports go: a live view, plain lines, or log records
    live_screen       draws the live view at the bottom of a terminal
    problems          a run's problems by topic, with rate-limited lines
    stats             feeds Locust's statistics from the run's own data
    locust_tables     Locust's own tables, printed only on request
    gevent_bridge     calls from the engine's native thread into gevent's
    held_thread       detects functions that block Locust's thread
    log_watch         follows the server's log during a run
    drill_runner      runs commands during a run, such as a deploy
    drill_losses      reports the losses that these commands cause
    gauge_watch       reads the server's connection gauge around a run
    reference_server  starts the reference server for a run without a host
    live_views        the live views of a run: the web page's tab, Prometheus, OpenTelemetry
    web               guards Locust's web page: hosts and origins, form values, secrets in answers
    web_tab           the "WebSocket" tab: live view, start form, verdict, report
    web_form          the fields of the start form, by group
    metrics_server    serves the metrics to a Prometheus server on this machine
    scrubbed_output   keeps secrets out of logs, tracebacks and Locust's tables
    hidden_arguments  starts Locust with arguments that process listings do not show
    load_locustfile   loads the user class of a locustfile, for commands
    check_dialect     one conversation with the server, to test a dialect
    probe             a short run after a deploy, with Locust as a library

Nothing is imported here, because importing locust patches the standard library.
"""
