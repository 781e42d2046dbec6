"""`loadtest check-log` and `probe`: checks right after a deploy."""

import time
from pathlib import Path
from typing import Any

import click

from loadtest.cli.setting_options import given_values, named_as_typed, setting_options
from loadtest.cli.shared_options import (
    check_output,
    check_standard_input,
    exit_with,
    format_option,
    inconclusive_option,
    json_option,
    markdown_option,
    print_json,
    print_sheet_as,
    rules_option,
)


@click.command("check-log")
@click.argument("files", nargs=-1, required=True, type=click.Path(path_type=Path), metavar="FILE…")
@click.option(
    "--since",
    metavar="WHEN",
    help="Only records since this time: 10m, 1h or 2d ago, or a date and time (UTC unless it has a time "
    "zone).",
)
@click.option("--revision", metavar="NAME", help="Only records of this revision (Cloud Run's revision_name).")
@format_option
@rules_option
@json_option
@markdown_option
@inconclusive_option
@click.pass_context
def check_log(
    ctx: click.Context,
    files: tuple[Path, ...],
    since: str | None,
    revision: str | None,
    log_format: str,
    rules: Path | None,
    as_json: bool,
    markdown: bool,
) -> None:
    """Distinguish client disconnects from real errors in a server log, without a run.

    FILE is a log, gzipped or not, or - for standard input. It may be text or JSON, written by a program or
    printed by docker, kubectl, journalctl or gcloud. With two logs, BEFORE AFTER, the second is compared with
    the first by records per hour: which are new, gone, or significantly more or less frequent.

    \b
    OK         no real error, no disconnect logged as an error, 95% of disconnects at INFO or below
    DEGRADED   anything else
    NO_DATA    no record to judge
    CRITICAL   a record at CRITICAL, or at least 5 real errors that are over 5% of all records

    Exit code (for the last FILE, with or without a comparison): 0 OK, 1 DEGRADED or CRITICAL, 2 usage error,
    4 the log cannot be judged, for example because over 5% of its records have no level.

    \b

    Your own rules assign a class to records: graceful, abrupt, send_to_gone_client (a client left),
    prober (a client that speaks no WebSocket), cancelled_at_shutdown, real_error or other.
    * matches anything, ^ and $ match the ends:
      [[rule]]
      class = "abrupt"
      message = "peer * went away"          # or exception = "…", frames = "…" of its traceback

    \b
    Examples:
      loadtest check-log server.log
      loadtest check-log before.log.gz after.log
      docker logs chat 2>&1 | loadtest check-log - --since 10m
    \b
    Ten minutes after a deploy, and one hour after it:
      gcloud logging read 'resource.labels.service_name="chat"' --freshness=10m --format=json |
        loadtest check-log - --revision chat-00042-kof
      gcloud logging read 'resource.labels.service_name="chat"' --freshness=1h --format=json |
        loadtest check-log - --revision chat-00042-kof --json | jq -r .status
    """
    from loadtest.runs.check_log import Selection, check
    from loadtest.runs.log_changes import compare_logs
    from loadtest.runs.log_tables import check_sheet
    from loadtest.serverlog.rules import load_rules
    from loadtest.serverlog.times import parse_since

    check_output(as_json=as_json, markdown=markdown)
    check_standard_input(files)
    now_ns = time.time_ns()
    since_ns = None if since is None else parse_since(since, now_ns)
    selection = Selection(since_ns=since_ns, revision=revision, now_ns=now_ns)
    table = load_rules(rules, option="--rules")
    reports = [check([file], rules=table, selection=selection, format=log_format) for file in files]
    earlier = [one.to_json(now_ns) for one in reports[:-1]]
    document = reports[-1].to_json(now_ns) | ({"compared_with": earlier} if earlier else {})
    changes = compare_logs(*reports[-2:]) if earlier else None
    if changes is not None:
        document["changes"] = changes.to_json()
    print_sheet_as(check_sheet(reports, changes), document, as_json=as_json, markdown=markdown)
    exit_with(ctx, reports[-1].exit_code)


@click.command()
@click.option(
    "--host", metavar="URL", help="wss://HOST[:PORT][/PATH]  [default: a reference server that it starts]"
)
@click.option(
    "--locustfile",
    "-f",
    type=click.Path(exists=True, dir_okay=False, path_type=Path),
    metavar="FILE",
    help="File with a WebSocketUser; its dialect, path and token are used.",
)
@click.option("--health-path", metavar="PATH", help="Path of the health endpoint.  [default: the dialect's]")
@click.option("--sessions", default=14, show_default=True, help="Number of sessions. Each is dropped once.")
@setting_options(
    *("dialect", "dialect_options", "path", "token", "token_cmd", "token_ttl_s", "headers", "data"),
    *(
        "origin",
        "subprotocols",
        "subprotocol_optional",
        "compression",
        "proxy",
        "tls_ca",
        "tls_cert",
        "tls_key",
        "tls_insecure",
        "sni",
    ),
    *("server_logs", "server_log_cmd", "revision", "revision_header", "limits"),
    "github",
)
@inconclusive_option
@click.option(
    "--results",
    default="results/probes",
    show_default=True,
    type=click.Path(file_okay=False, path_type=Path),
    metavar="DIR",
    help="Folder of all probes. Runs have another folder, because probes are not comparable with them.",
)
@json_option
@click.pass_context
def probe(
    ctx: click.Context,
    /,
    host: str | None,
    health_path: str | None,
    locustfile: Path | None,
    sessions: int,
    as_json: bool,
    **given: Any,
) -> None:
    """Check a deployment in under a minute.

    It requests the health endpoint, connects a few sessions, exchanges messages, drops each session once (all
    default kinds of drops in turn), and checks that they resume with their history. A probe is a short run
    and writes the same reports.

    Exit code: 0 passed, 1 failed or not healthy, 2 usage error, 4 inconclusive, 5 the tool itself failed.

    \b
    Examples:
      loadtest probe --host wss://staging.example.org
      loadtest probe --host wss://staging.example.org -f locustfiles/chat.py
      loadtest probe --host ws://127.0.0.1:8765 --server-log server.log
      LOCUST_WS_TOKEN=… loadtest probe --host wss://chat.example.org --json | jq -r .verdict.verdict
    """
    from loadtest.locust_plugin.probe import probe as run_probe
    from loadtest.report.terminal import print_verdict
    from loadtest.text import public_url

    click.echo(f"probing {public_url(host) if host else 'a reference server'}, within a minute", err=True)
    values = {"sessions": sessions, **given_values(ctx, given)}
    with named_as_typed(ctx):
        probed = run_probe(host, values, health_path=health_path, locustfile=locustfile)
    if as_json:
        print_json(probed.to_json())
    elif probed.judged is not None:
        print_verdict(probed.judged)
    exit_with(ctx, probed.exit_code)
