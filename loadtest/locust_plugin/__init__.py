"""The Locust adapter. Only importer of locust and gevent; nothing is imported here, since Locust patches.

options     the --ws-… options, and how they override a user class's attributes
settings    from those to what the engine and the run directory need, checked before anything starts
user        WebSocketUser, the class that locustfiles subclass
bridge      calls from the engine's native thread into gevent
load        this process's engine: sessions start and stop, intervals come out
record      the run directory of a local run or a master: intervals go in, the verdict comes out
table       Locust's own statistics as a view of the same data
crew        the workers of a distributed run: what they send, and what the master makes of it
own_server  the reference server of a run without a host
web_form    bad settings refused in Locust's web form
log_watch   the server's log, followed while the run goes
conductor   Locust's events, tied to all of these
probe       a short run after a deploy, by Locust as a library
"""
