"""The settings of this process's runs, from the user class and the options that Locust has parsed.

Locust's web form may change most options between runs. Options that name files or commands keep the values
they had when the process started, here and on workers, whatever a web request says.
"""

import argparse
from collections.abc import Mapping, Sequence
from contextlib import suppress
from typing import Any

from locust.env import Environment
from locust.util.timespan import parse_timespan

from loadtest.errors import UsageError
from loadtest.locust_plugin.load_settings import (
    LoadSettings,
    check_drills,
    check_rows,
    check_storms,
    load_settings,
)
from loadtest.locust_plugin.log_watch import check_logs
from loadtest.locust_plugin.parser import NOT_IN_WEB_FORM, forget_overridden_login, given_values
from loadtest.locust_plugin.token_command import check_token_command
from loadtest.options import overridden
from loadtest.results.directory import check_writable
from loadtest.runs.baselines import NO_BASELINE
from loadtest.runs.find import resolve
from loadtest.text import public_locustfiles
from loadtest.transport.target import check_reachable, check_source

PLACEHOLDER_URL = "ws://127.0.0.1"
"""Host used to check the other settings while no host is known."""


class Configuration:
    """The settings of an environment's runs.

    Args:
        environment: Locust's environment, with parsed options.
        classes: the environment's subclasses of WebSocketUser.
    """

    def __init__(self, environment: Environment, classes: Sequence[Any]) -> None:
        self._environment = environment
        self._classes = classes
        forget_overridden_login(self.options)
        self._at_start = {name: getattr(self.options, name, None) for name in NOT_IN_WEB_FORM}

    @property
    def options(self) -> Any:
        """Locust's parsed options."""
        return self._environment.parsed_options

    @property
    def host(self) -> str | None:
        """URL of the server; None if not known yet."""
        host: str | None = self._environment.host or self._user_class().host
        return host

    @property
    def locustfile(self) -> str | None:
        """The locustfiles as given, URLs without secrets; None if there is none."""
        given: str | None = getattr(self.options, "locustfile", None)
        return given and public_locustfiles(given)

    @property
    def run_time_s(self) -> float | None:
        """Duration of a run in seconds; None if it lasts until stopped."""
        return float(self.options.run_time) if self.options.run_time else None

    def _user_class(self) -> Any:
        if len(self._classes) > 1:
            names = ", ".join(kind.__name__ for kind in self._classes)
            raise UsageError(
                f"a run must have one kind of WebSocketUser (got {len(self._classes)}: {names}). "
                "Name one at the end of the command line"
            )
        return self._classes[0]

    def settings(self, host: str, changes: Mapping[str, Any] | None = None) -> LoadSettings:
        """Return the settings.

        Args:
            host: URL of the server.
            changes: values that replace parsed options, by destination.

        Raises:
            UsageError: a setting has a bad value, or there are several user classes.
        """
        options = argparse.Namespace(**{**vars(self.options), **(changes or {})})
        return load_settings(overridden(self._user_class().values(), given_values(options)), host)

    def check(self, *, connects: bool) -> None:
        """Check everything that can be checked before a run.

        Args:
            connects: whether this process opens connections; if so, the source addresses must be its own.

        Raises:
            LoadtestError: a run could not begin with these settings.
        """
        settings = self.settings(self.host or PLACEHOLDER_URL)
        check_writable(settings.results)
        check_logs(settings.log)
        check_storms(settings.plan.storms, self.run_time_s)
        check_drills(settings.drills, self.run_time_s, secrets=settings.secrets)
        if settings.baseline not in (None, NO_BASELINE):
            resolve(settings.baseline, settings.results)
        if connects:
            check_token_command(settings.token)
        for address in settings.engine.source_ips if connects else ():
            check_source(address)
        if self.options.headless:
            self.check_users(settings, self.options.num_users or 1)  # Locust's default
            if self.host:
                check_reachable(settings.engine.target)

    def check_users(self, settings: LoadSettings, users: int) -> None:
        """Check that the sessions of a run with so many users have a row of `--ws-data` each.

        How many of the users will hold sessions is not known here if a load shape decides how many there are,
        or if other classes have a share of them.

        Raises:
            InvalidSetting: there are too few rows.
        """
        if self._environment.shape_class is None and len(self._environment.user_classes) == 1:
            check_rows(settings, users)

    def check_form(self, form: Mapping[str, str]) -> None:
        """Check the values of Locust's web form.

        Raises:
            LoadtestError: a run could not begin with them.
        """
        changes = {name: text for name, text in form.items() if name.startswith("ws_")}
        host = form.get("host") or self.host or PLACEHOLDER_URL
        settings = self.settings(host, {**changes, **self._at_start})
        with suppress(ValueError):  # Locust itself refuses bad numbers
            self.check_users(settings, int(form.get("user_count", 0)))
        with suppress(ValueError):  # and a bad run time
            run_time = form.get("run_time")
            run_time_s = parse_timespan(run_time) if run_time else None
            check_storms(settings.plan.storms, run_time_s)
            check_drills(settings.drills, run_time_s, secrets=settings.secrets)

    def restore(self) -> None:
        """Reset the options that are not in the web form to their values at process start."""
        vars(self.options).update(self._at_start)
