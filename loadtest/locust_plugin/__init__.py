"""The Locust plugin. Only importer of locust and gevent; nothing is imported here, since Locust patches.

user              WebSocketUser, the class that locustfiles subclass
parser            the table of settings (loadtest.options) as options of Locust's parser
load_settings     from those to what the engine and the run directory need, checked before anything starts
lifecycle         Locust's events, tied to all of these
load              this process's engine: sessions start and stop, intervals come out
recording         the run directory of a local run or a master: intervals go in, the verdict comes out
stats             Locust's own statistics as a view of the same data
workers           a distributed run: what workers send, and what the master makes of it
gevent_bridge     calls from the engine's native thread into gevent
log_watch         the server's log, followed while the run goes
reference_server  the reference server of a run without a host
web               bad settings refused in Locust's web form
probe             a short run after a deploy, by Locust as a library
"""
