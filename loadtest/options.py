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
            "What the server speaks: emergence, echo, a bundled dialect (`loadtest options` lists them) or a "
            "subclass of loadtest.Dialect in your locustfile.",
            in_plan=True,
        ),
        Setting(
            "dialect-option",
            Text("NAME=VALUE"),
            (),
            "Option of a bundled dialect: event=chat. `loadtest options` lists them. Secrets do not belong "
            "here: reports show the values.",
            in_plan=True,
            repeatable=True,
            in_web_form=False,  # one names a file
        ),
        Setting(
            "path",
            Text("PATH"),
            None,
            "Path and query of the WebSocket endpoint, unless --host holds them.",
            in_plan=True,
            default_text="the dialect's",
        ),
        Setting(
            "token",
            Text("TOKEN", or_object="a function that returns one", one_line=True),
            None,
            "Token to log in with. As an attribute it may be a function that returns one, async or not. It "
            "is called before each attempt, on the engine's thread, and must neither block nor use gevent.",
            secret=True,
        ),
        Setting(
            "token-cmd",
            Text("COMMAND"),
            None,
            "Command that prints a token for all sessions: 'gcloud auth print-identity-token'. It runs "
            "before the first attempt, and again once the server has rejected the token; close code 4401 "
            "then ends no session.",
            in_web_form=False,
        ),
        Setting(
            "token-ttl",
            seconds(1, 86_400),
            None,
            "Age from which the token of --ws-token-cmd is not used for new attempts; a JWT is renewed a "
            "minute before it expires, if that comes first.",
            default_text="until a minute before a JWT expires; others until they are rejected",
            in_web_form=False,
        ),
        Setting(
            "header",
            Pair("NAME:VALUE", ":"),
            (),
            "Header to add to each upgrade request. Several may have one name; of Host, Origin, User-Agent "
            "and Authorization only the last is sent.",
            secret=True,
            repeatable=True,
        ),
        Setting(
            "origin",
            Text("ORIGIN", one_line=True),
            None,
            "Header Origin, which browsers send and many servers check: https://app.example.org.",
        ),
        Setting(
            "data",
            FilePath(),
            None,
            "File with a row of values for each session (accounts, rooms): CSV with a header, or JSON lines. "
            "Dialects find a session's row in session.data, paths in {COLUMN}. All values are secrets.",
            secret=True,
            in_web_form=False,
        ),
        Setting(
            "subprotocol",
            Token("NAME"),
            (),
            "Subprotocol to offer to the server; several in order of preference, after the dialect's.",
            repeatable=True,
        ),
        Setting(
            "subprotocol-optional",
            Flag(),
            False,
            "Accept a server that selects none of the subprotocols offered; browsers fail the connection.",
        ),
        Setting(
            "revision",
            Text("NAME", one_line=True, most=MAX_REVISION),
            None,
            "Version of the server under test. By default what the server says (--ws-revision-header; "
            "version, revision or commit in the health endpoint's JSON), else GITHUB_SHA or CI_COMMIT_SHA, "
            "else unnamed, which is never a baseline.",
            default_text="the first that is found",
        ),
        Setting(
            "revision-header",
            Token("NAME"),
            None,
            "Response header in which the server names its version. Asked for once before the run, with GET "
            "of the health endpoint, then of the WebSocket's path.",
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
            "When messages are sent: evenly, at random times, or (closed) as soon as the last reply is in.",
            in_plan=True,
        ),
        Setting(
            "in-flight",
            Whole(0, 1000, "requests"),
            0,
            "Requests that a session may have under way; 0 for any number.",
            in_plan=True,
        ),
        Setting(
            "message-bytes",
            Weighted(Whole(48, 2**20, "bytes"), "size"),
            64,
            "Size of the text in a request, in UTF-8; or sizes, each as often as its weight says.",
            in_plan=True,
        ),
        Setting(
            "reply-timeout",
            seconds(0.001, 3600),
            10.0,
            "Time after which a request without a reply is lost.",
            in_plan=True,
        ),
        Setting(
            "warmup",
            seconds(0, 3600),
            3.0,
            "Time at the start of a run that the latency verdict leaves out.",
            in_plan=True,
        ),
        Setting(
            "seed",
            Whole(-(2**63), 2**63 - 1),
            1,
            "Seed of drops, arrivals, sizes and jitter: the same seed gives the same plan.",
            in_plan=True,
        ),
        Setting(
            "keep-going",
            Flag(),
            False,
            "Run to the end even if no session connects for 30 s or all have given up. By default, headless "
            "runs end early.",
        ),
        Setting(
            "locust-events",
            Flag(),
            False,
            "Fire Locust's event `request` for each message, once a second, for listeners of your own.",
        ),
    ),
    Group.DROPS: (
        Setting(
            "drop-every",
            seconds(0, 1e9),
            20.0,
            "Mean time a session stays connected before it is dropped; 0 for no drops.",
            in_plan=True,
        ),
        Setting(
            "drops",
            Text("KIND=WEIGHT,…", or_object="a mapping of weights"),
            None,
            "Kinds of drops and how often each occurs relative to the others: close=2,reset=1.",
            in_plan=True,
            default_text="the seven kinds that a sound server takes without an error",
        ),
        Setting(
            "storm",
            Text("SHARE@SECONDS[:KIND]"),
            (),
            "Drop a share of all sessions at one moment of the run: 0.5@30, or 50%@30:fin. The kind is reset "
            "unless given.",
            in_plan=True,
            repeatable=True,
        ),
        Setting(
            "at",
            Text("SECONDS:COMMAND"),
            (),
            "Run a command at this moment of the run, a deploy for example: 60:'kubectl rollout restart "
            "deployment/chat'. No shell runs it. Connections lost from its start until --ws-at-window after "
            "its end belong to this drill: they do not fail stability, but sessions must come back. A "
            "command that still runs when the run ends is stopped: allow time for it.",
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
            "How long after the end of a command of --ws-at losses still belong to it.",
            attribute="drill_window_s",
            in_web_form=False,
        ),
        Setting(
            "backoff",
            Text("POLICY", or_object="a Backoff"),
            "exponential(1,2,8)",
            "When clients reconnect: none, constant(SECONDS), or "
            "exponential(base=1,factor=2,cap=8,jitter=none,max_attempts=50) with jitter none, full or equal. "
            "Both take reset=established or reset=connected, for clients that start again from the base "
            "before the session has worked, and retry_after=ignore, for those that do not obey Retry-After.",
            in_plan=True,
        ),
    ),
    Group.CONNECTION: CONNECTION_ROWS,
    Group.VERDICT: (
        Setting(
            "pushes-per-s",
            Number(1e-6, 10_000, "pushes per second per session", or_zero=True),
            None,
            "Minimum pushes per second for each connected session; 0: none expected.",
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
            "Time within which the server must close the connections of clients that fell silent (half_open "
            "drops). Without a time, here or in the dialect, the report only shows when the server does so.",
            default_text="the dialect's cleanup_s",
        ),
        Setting(
            "server-metrics",
            Text("URL#NAME"),
            None,
            "Prometheus gauge of the server's connections: after the run it must be back at the value it had "
            'before. No other clients may be connected. NAME may have labels: NAME{label="value"}.',
            in_web_form=False,
        ),
        Setting(
            "margin",
            Text("GATE=SHARE%[/AMOUNT]"),
            (),
            "How much worse than the baseline still counts as unchanged: a share (p50=8%), an amount "
            "(p99=2ms), or the larger of both (p99=15%/2ms). Gates: p50, p90, p99 and p99.9 of round trips, "
            "response, connect, resume, outage, first reply, drift (within the run), slow (replies: "
            "slow=100%/0.02pt) and losses (a session-hour: losses=1/h).",
            default_text="5% at p50 and drift, 10% at p90, 30% at p99.9, 20% at others; slow=100%/0.02pt, "
            "losses=1/h",
            repeatable=True,
        ),
        Setting(
            "allow-losses",
            Text("[CODE,…=]N|N/h|any"),
            (),
            "Connections that the server or the network may end: in the run (5), per session-hour "
            "(2/h), or any number; of all losses, or of those with some close codes (1001,1012=2/h). 1006 "
            "stands for an end without a close frame: RST, FIN or a timeout.",
            attribute="allow_losses",
            repeatable=True,
        ),
        Setting(
            "limit",
            Text("NAME=TIME", or_object="a mapping of times"),
            (),
            "Longest time allowed, judged without a baseline: pNN (p99=200ms, round trips), response.pNN and "
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
            "Log of the server, followed from the start of the run and judged; - for standard input.",
            repeatable=True,
            in_web_form=False,
        ),
        Setting(
            "server-log-cmd",
            Text("COMMAND"),
            None,
            "Command that prints the server's log, such as 'docker logs -f --tail 0 NAME'; stopped after the "
            "run. One that ends by itself ('gcloud logging read … --format=json') runs again then.",
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
            "Your own rules for what log records mean (TOML, see 'loadtest check-log --help').",
            default_text="the built-in rules",
            in_web_form=False,
        ),
        Setting(
            "server-log-errors",
            Whole(0, 10**9, "errors"),
            0,
            "Real errors in the server's log that are allowed.",
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

    Those of drills and of the proxy are not among them: a plan has the moments of drills and not their
    commands, and of a proxy its kind.

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
    """Return the texts that an option is given with: names with values stand in an option each."""
    if row.repeatable and isinstance(value, Mapping):
        return [f"{name}={text}" for name, text in value.items()]
    return [written(value)]


_SINCE_PLAN_2 = ("compression", "ping_interval_s")
"""Settings that older runs did not have: commands name them where they are not the default."""


def _is_worth_naming(row: Setting, value: Any) -> bool:
    return bool(written(value)) and not (row.attribute in _SINCE_PLAN_2 and value == row.default)
