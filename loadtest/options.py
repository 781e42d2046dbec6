"""The table of settings: one row per setting.

Everything that lists settings reads this table: the parser of the --ws-… options, their names in the
environment and the fields of Locust's web form (`locust_plugin.parser`), the attributes of `WebSocketUser`,
the checks of their values (`locust_plugin.load_settings`), the options that set a run's plan
(`results.manifest.Plan`), `loadtest options`, and docs/options.md. To add a setting, add a row and use it.

The meaning of a value does not belong here. Rows hold kinds and bounds; the module that uses a value parses
its text, and names the option in its errors: `--ws-backoff`.
"""

from collections.abc import Iterable, Mapping, Sequence
from typing import Any, Final

from loadtest.connection_options import CONNECTION_ROWS
from loadtest.output_options import OUTPUT_ROWS
from loadtest.setting import Group, Setting, written
from loadtest.values import Choice, FilePath, Flag, Number, Pair, Text, Token, Weighted, Whole, seconds

MAX_REVISION = 200
"""Characters of a revision: a branch name with what a CI service adds to it, and short enough for tables."""

TABLE: Final[Mapping[Group, Sequence[Setting]]] = {
    Group.SERVER: (
        Setting(
            "dialect",
            Text("NAME", or_object="a subclass of Dialect"),
            "emergence",
            "Protocol that the server speaks: emergence, echo, a bundled dialect (`loadtest options` lists "
            "them) or a subclass of loadtest.Dialect in your locustfile.",
            in_plan=True,
        ),
        Setting(
            "dialect-option",
            Text("NAME=VALUE"),
            (),
            "Option of a bundled dialect, such as event=chat. `loadtest options` lists them. Do not put "
            "secrets here: reports show the values.",
            in_plan=True,
            repeatable=True,
            in_web_form=False,  # one names a file
        ),
        Setting(
            "path",
            Text("PATH"),
            None,
            "Path and query of the WebSocket endpoint, unless --host includes them.",
            in_plan=True,
            default_text="the dialect's",
        ),
        Setting(
            "token",
            Text("TOKEN", or_object="a function that returns one", one_line=True),
            None,
            "Token to log in with. As an attribute it may also be a function, async or not, that returns a "
            "token. The tool calls it before each attempt, on the engine's thread; it must not block or "
            "use gevent.",
            secret=True,
        ),
        Setting(
            "token-cmd",
            Text("COMMAND"),
            None,
            "Command that prints a token for all sessions, such as 'gcloud auth print-identity-token'. It "
            "runs before the first attempt, and again after the server rejects the token. Sessions then "
            "reconnect after close code 4401.",
            in_web_form=False,
        ),
        Setting(
            "token-ttl",
            seconds(1, 86_400),
            None,
            "Maximum age of the token of --ws-token-cmd for new attempts. A JWT is renewed a minute before "
            "it expires, if that comes first.",
            default_text="a JWT: until a minute before it expires; other tokens: until rejected",
            in_web_form=False,
        ),
        Setting(
            "header",
            Pair("NAME:VALUE", ":"),
            (),
            "Header to add to each upgrade request. A name may occur more than once, but of Host, Origin, "
            "User-Agent and Authorization only the last one is sent.",
            secret=True,
            repeatable=True,
        ),
        Setting(
            "origin",
            Text("ORIGIN", one_line=True),
            None,
            "Origin header, which browsers send and many servers check, such as https://app.example.org.",
        ),
        Setting(
            "data",
            FilePath(),
            None,
            "File with a row of values for each session (accounts, rooms): CSV with a header, or JSON "
            "lines. Dialects read the row from session.data, paths from {COLUMN}. All values are treated "
            "as secrets.",
            secret=True,
            in_web_form=False,
        ),
        Setting(
            "subprotocol",
            Token("NAME"),
            (),
            "Subprotocol to offer to the server, after the dialect's. Give several in order of preference.",
            repeatable=True,
        ),
        Setting(
            "subprotocol-optional",
            Flag(),
            False,
            "Accept a server that selects none of the offered subprotocols. Browsers fail such a connection.",
        ),
        Setting(
            "revision",
            Text("NAME", one_line=True, most=MAX_REVISION),
            None,
            "Version of the server under test. By default the one that the server reports "
            "(--ws-revision-header, or version, revision or commit in the health endpoint's JSON), else "
            "GITHUB_SHA or CI_COMMIT_SHA, else unnamed, which is never a baseline.",
            default_text="the first that is found",
        ),
        Setting(
            "revision-header",
            Token("NAME"),
            None,
            "Response header with the server's version. The tool reads it once before the run, with a GET "
            "of the health endpoint, then of the WebSocket path.",
        ),
    ),
    Group.LOAD: (
        Setting(
            "sessions",
            Whole(1, 100_000),
            20,
            "WebSocket sessions per Locust user.",
            in_plan=True,
            plan_field="sessions_per_user",
        ),
        Setting(
            "rate",
            Number(1e-6, 10_000, "messages per second per session", or_zero=True),
            1.0,
            "Messages per second per session; 0 sends none.",
            in_plan=True,
        ),
        Setting(
            "arrivals",
            Choice(("constant", "poisson", "closed")),
            "constant",
            "When to send messages: at a constant interval, at random times, or (closed) as soon as the "
            "last reply arrives.",
            in_plan=True,
        ),
        Setting(
            "in-flight",
            Whole(0, 1000, "requests"),
            0,
            "Maximum number of requests in flight per session; 0 for no limit.",
            in_plan=True,
        ),
        Setting(
            "message-bytes",
            Weighted(Whole(48, 2**20, "bytes"), "size"),
            64,
            "Size of the text in a request, in UTF-8, or several sizes with weights.",
            in_plan=True,
        ),
        Setting(
            "reply-timeout",
            seconds(0.001, 3600),
            10.0,
            "Time after which a request without a reply counts as lost.",
            in_plan=True,
        ),
        Setting(
            "warmup",
            seconds(0, 3600),
            3.0,
            "Time at the start of a run that the latency verdict ignores.",
            in_plan=True,
        ),
        Setting(
            "seed",
            Whole(-(2**63), 2**63 - 1),
            1,
            "Seed of drops, arrivals, sizes and jitter. The same seed gives the same plan.",
            in_plan=True,
        ),
        Setting(
            "keep-going",
            Flag(),
            False,
            "Run to the end even if no session connects for 30 s or all sessions have given up. By "
            "default, headless runs end early in these cases.",
        ),
        Setting(
            "locust-events",
            Flag(),
            False,
            "Fire Locust's `request` event for each message, for your own listeners. Events are fired in "
            "batches, once a second.",
        ),
    ),
    Group.DROPS: (
        Setting(
            "drop-every",
            seconds(0, 1e9),
            20.0,
            "Mean time that a session stays connected before it is dropped; 0 for no drops.",
            in_plan=True,
        ),
        Setting(
            "drops",
            Text("KIND=WEIGHT,…", or_object="a mapping of weights"),
            None,
            "Kinds of drops with their weights, such as close=2,reset=1.",
            in_plan=True,
            default_text="the seven kinds that a sound server handles without an error",
        ),
        Setting(
            "storm",
            Text("SHARE@SECONDS[:KIND]"),
            (),
            "Drop a share of all sessions at one moment of the run: 0.5@30, or 50%@30:fin. The default "
            "kind is reset.",
            in_plan=True,
            repeatable=True,
        ),
        Setting(
            "at",
            Text("SECONDS:COMMAND"),
            (),
            "Run a command, such as a deploy, at this moment of the run: 60:'kubectl rollout restart "
            "deployment/chat'. It runs without a shell. Connections lost from its start until "
            "--ws-at-window after its end belong to this drill: they do not fail stability, but sessions "
            "must reconnect. A command that is still running at the end of the run is stopped, so allow "
            "time for it.",
            attribute="drills",
            in_plan=True,
            plan_field="drills_at_s",
            repeatable=True,
            in_web_form=False,
        ),
        Setting(
            "at-window",
            seconds(0, 86_400),
            120.0,
            "Time after the end of an --ws-at command during which losses still belong to it.",
            attribute="drill_window_s",
            in_web_form=False,
        ),
        Setting(
            "backoff",
            Text("POLICY", or_object="a Backoff"),
            "exponential(1,2,8)",
            "When clients reconnect: none, constant(SECONDS), or "
            "exponential(base=1,factor=2,cap=8,jitter=none,max_attempts=50) with jitter none, full or "
            "equal. Both accept reset=established or reset=connected, for clients that return to the base "
            "delay before the session has worked, and retry_after=ignore, for clients that ignore "
            "Retry-After.",
            in_plan=True,
        ),
    ),
    Group.CONNECTION: CONNECTION_ROWS,
    Group.VERDICT: (
        Setting(
            "pushes-per-s",
            Number(1e-6, 10_000, "pushes per second per session", or_zero=True),
            None,
            "Minimum number of pushes per second for each connected session; 0 if none are expected.",
            default_text="the dialect's",
        ),
        Setting(
            "baseline",
            Text("RUN", one_line=True),
            None,
            "Run directory, run id or revision to compare with, or none.",
            default_text="the pinned run, else one of another revision",
            in_web_form=False,
        ),
        Setting(
            "cleanup-timeout",
            seconds(0.1, 3600),
            None,
            "Time within which the server must close the connections of clients that fell silent "
            "(half_open drops). If neither this option nor the dialect sets a time, the report shows when "
            "the server closed them, without a verdict.",
            default_text="the dialect's cleanup_s",
        ),
        Setting(
            "server-metrics",
            Text("URL#NAME"),
            None,
            "Prometheus gauge of the server's connections. After the run it must have the same value as "
            "before. "
            'No other clients may be connected. NAME may have labels: NAME{label="value"}.',
            in_web_form=False,
        ),
        Setting(
            "margin",
            Text("GATE=SHARE%[/AMOUNT]"),
            (),
            "How much worse than the baseline still counts as unchanged: a share (p50=8%), an amount "
            "(p99=2ms), or the larger of both (p99=15%/2ms). Gates: p50, p90, p99 and p99.9 of round "
            "trips, response, connect, resume, outage, first reply, drift (within the run), slow (slow "
            "replies: slow=100%/0.02pt) and losses (per session-hour: losses=1/h).",
            default_text="5% at p50 and drift, 10% at p90, 30% at p99.9, 20% at others; slow=100%/0.02pt, "
            "losses=1/h",
            repeatable=True,
        ),
        Setting(
            "allow-losses",
            Text("[CODE,…=]N|N/h|any"),
            (),
            "Number of connections that the server or the network may end: in the run (5), per "
            "session-hour (2/h), or any number. Close codes restrict it to losses with these codes "
            "(1001,1012=2/h). 1006 means an end without a close frame: RST, FIN or a timeout.",
            attribute="allow_losses",
            repeatable=True,
        ),
        Setting(
            "limit",
            Text("NAME=TIME", or_object="a mapping of times"),
            (),
            "Maximum time, judged without a baseline. pNN (round trips: p99=200ms), response.pNN and "
            "first_part.pNN fail latency; connect.pNN fails connect; resume.pNN and outage.pNN fail "
            "reconnect; push_gap fails messaging. Units: us, ms, s.",
            repeatable=True,
        ),
    ),
    Group.SERVER_LOG: (
        Setting(
            "server-log",
            Text("FILE"),
            (),
            "Server log to follow from the start of the run and judge; - for standard input.",
            repeatable=True,
            in_web_form=False,
        ),
        Setting(
            "server-log-cmd",
            Text("COMMAND"),
            None,
            "Command that prints the server's log, such as 'docker logs -f --tail 0 NAME'. It is stopped "
            "after the run. A command that ends earlier ('gcloud logging read … --format=json') runs again "
            "after the run.",
            in_web_form=False,
        ),
        Setting(
            "server-log-format",
            Text("FORMAT"),
            "auto",
            "Format of the server's log: auto, json, or a format string of Python's logging.",
            in_web_form=False,
        ),
        Setting(
            "server-log-rules",
            FilePath(),
            None,
            "Your own rules that classify log records (TOML, see 'loadtest check-log --help').",
            default_text="the built-in rules",
            in_web_form=False,
        ),
        Setting(
            "server-log-errors",
            Whole(0, 10**9, "errors"),
            0,
            "Number of real errors allowed in the server's log.",
            in_web_form=False,
        ),
    ),
    Group.OUTPUT: OUTPUT_ROWS,
}
"""All settings, by heading."""

_ROWS = [row for rows in TABLE.values() for row in rows]

SETTINGS: Final[Mapping[str, Setting]] = {row.attribute: row for row in _ROWS}
"""All settings by attribute."""

LOCUST_OPTIONS: Final[Mapping[str, str]] = {"users": "-u", "spawn_rate": "-r", "duration_s": "-t"}
"""The fields of a run's plan that Locust's own options set."""

_OF_PLAN = {row.plan_field: row for row in _ROWS if row.in_plan}


def read_values(values: Mapping[str, Any]) -> dict[str, Any]:
    """Return the values of all settings by attribute, each checked by its row.

    Raises:
        InvalidSetting: a setting does not accept its value.
    """
    return {attribute: row.read(values[attribute]) for attribute, row in SETTINGS.items()}


def options_of(plan_fields: Iterable[str]) -> list[str]:
    """Return the options that set these fields of a run's plan."""
    others = {**LOCUST_OPTIONS, "version": "the version of loadtest", "tasks": "the tasks of the user class"}
    return [others.get(name) or _OF_PLAN[name].option for name in plan_fields]


def command_options(plan: Mapping[str, Any]) -> list[str]:
    """Return the options that reproduce a run's plan, with values quoted for a shell.

    Options of drills and of the proxy are left out: a plan stores when drills run but not their commands, and
    only the kind of a proxy.

    Args:
        plan: the plan's fields by name, or those of them that are to be given.
    """
    given = [
        (row, plan[name])
        for name, row in _OF_PLAN.items()
        if name in plan and row.name and row.attribute != "drills" and not row.secret
    ]
    return [
        row.option_with(text)
        for row, value in given
        if _is_worth_naming(row, value)
        for text in _texts(row, value)
    ]


def _texts(row: Setting, value: Any) -> list[str]:
    """Return the texts to give an option with: each name with its value is an option of its own."""
    if row.repeatable and isinstance(value, Mapping):
        return [f"{name}={text}" for name, text in value.items()]
    return [written(value)]


_SINCE_PLAN_2 = ("compression", "ping_interval_s")
"""Settings that older runs did not have: commands name them where they are not the default."""


def _is_worth_naming(row: Setting, value: Any) -> bool:
    return bool(written(value)) and not (row.attribute in _SINCE_PLAN_2 and value == row.default)
