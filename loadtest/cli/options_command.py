"""`loadtest options`: what can be set of a run."""

import click


@click.command("options")
def options_command() -> None:
    """Show the --ws-... options of `locust -f locustfiles/ws.py`, which Locust's own --help leaves out.

    Each can be given on Locust's command line, in the environment (LOCUST_WS_RATE=2), in Locust's web form,
    or as an attribute of a WebSocketUser class in a locustfile, which the others override.
    """
    from loadtest.locust_plugin.options import OPTIONS

    for option in OPTIONS:
        repeatable = " (repeatable)" if option.repeatable else ""
        click.echo(f"--ws-{option.name} {option.metavar}{repeatable}")
        click.echo(f"    {option.help}")
        click.echo(f"    environment {option.variable}, attribute {option.attribute}")
    click.echo("--ws-tls-insecure")
    click.echo("    Accept any server certificate")
    click.echo("    environment LOCUST_WS_TLS_INSECURE, attribute tls_insecure")
