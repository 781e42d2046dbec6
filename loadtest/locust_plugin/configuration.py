"""The settings of this process's runs, from the user class and Locust's parsed options.

Locust's web form may change most options between runs. Options that name files or commands keep the values
from the start of the process, on the master and on workers, whatever a web request contains.
"""

import argparse
from collections.abc import Mapping, Sequence
from contextlib import suppress
from dataclasses import replace
from typing import Any

import msgspec
from locust.env import Environment
from locust.runners import WorkerNode
from locust.util.timespan import parse_timespan

from loadtest.engine.engine import EngineSettings
from loadtest.errors import InvalidSetting, UsageError
from loadtest.locust_plugin.agreement import agree, check_names, check_pings
from loadtest.locust_plugin.class_code import code_of
from loadtest.locust_plugin.load_settings import (
    LoadSettings,
    check_rows,
    load_settings,
)
from loadtest.locust_plugin.log_watch import check_logs
from loadtest.locust_plugin.parser import (
    HOST_DESTINATION,
    NOT_IN_WEB_FORM,
    forget_empty_variables,
    forget_overridden_login,
    given_values,
)
from loadtest.locust_plugin.planned_moments import check_drills, check_storms
from loadtest.locust_plugin.token_command import check_token_command
from loadtest.locust_plugin.web_form import StartForm, start_form
from loadtest.login_options import overridden
from loadtest.options import SETTINGS
from loadtest.results.directory import check_writable
from loadtest.runs.baselines import NO_BASELINE
from loadtest.runs.ci_output import CiOutput
from loadtest.runs.find import resolve
from loadtest.scrubber import NO_SECRETS, joined
from loadtest.text import public_host, public_locustfiles
from loadtest.transport.proxies import check_proxy
from loadtest.transport.target import check_reachable, check_source

PLACEHOLDER_URL = "ws://127.0.0.1"
"""Host used to check the other settings while no host is known."""

_ELSEWHERE = "Use Locust's own form to start a run with a load shape or the class picker."


def ci_output(options: Any, classes: Sequence[Any]) -> CiOutput:
    """Return the files that runs write for CI, by options and user classes.

    Invalid values are ignored here; the check of all settings reports them.
    """
    given = {name: _given(options, classes, name) for name in ("github", "summary_file", "junit_file")}
    return CiOutput(**{name: value for name, value in given.items() if value is not None})


def _given(options: Any, classes: Sequence[Any], attribute: str) -> Any:
    """Return the value of one setting, from the option or a class; None if there is no valid one."""
    row = SETTINGS[attribute]
    for value in (getattr(options, row.destination, None), *(kind.values()[attribute] for kind in classes)):
        if value not in (None, "", False):
            with suppress(InvalidSetting):
                return row.read(value)
    return None


class Configuration:
    """The settings of an environment's runs.

    Args:
        environment: Locust's environment, with parsed options.
        classes: the environment's subclasses of WebSocketUser.

    Raises:
        UsageError: the name of a class is not a valid class name.

    Attributes:
        secrets: texts that must not appear in a file or a log, from the settings last read.
        codes: hash of each class's code as it was loaded, by the class's name; None if unknown.
    """

    def __init__(self, environment: Environment, classes: Sequence[Any]) -> None:
        self._environment = environment
        self._classes = sorted(classes, key=lambda kind: kind.__name__)  # alike in all processes
        forget_empty_variables(self.options)
        forget_overridden_login(self.options)
        check_names([kind.__name__ for kind in classes])
        self.secrets = NO_SECRETS
        self.codes = {kind.__name__: code_of(kind) for kind in self._classes}
        self._hide_host()
        self._at_start = {name: getattr(self.options, name, None) for name in NOT_IN_WEB_FORM}

    @property
    def options(self) -> Any:
        """Locust's parsed options."""
        return self._environment.parsed_options

    @property
    def names(self) -> Sequence[str]:
        """The names of the run's user classes; empty if there is only one."""
        return [kind.__name__ for kind in self._classes] if len(self._classes) > 1 else []

    @property
    def prometheus_port(self) -> int | None:
        """Port for the metrics; None if they are not served."""
        port: int | None = _given(self.options, self._classes, "prometheus_port")
        return port

    @property
    def host(self) -> str | None:
        """URL of the server; None if not known yet."""
        host: str | None = self.shown_host
        hidden: str | None = getattr(self.options, HOST_DESTINATION, None)
        return hidden if hidden and public_host(hidden) == host else host

    @property
    def shown_host(self) -> str | None:
        """URL of the server as Locust's page and reports show it; None if not known yet."""
        host: str | None = self._environment.host
        own: set[str] = {kind.host for kind in self._classes if kind.host}
        if host or not own:
            return host
        if len(own) > 1:
            raise UsageError(f"user classes must have the same host (got {len(own)}): set --host")
        return own.pop()

    def _hide_host(self) -> None:
        """Hide the values in the host's query from Locust; an option, which workers also get, keeps them."""
        classes = {kind.host for kind in self._classes}
        given = self._environment.host or (classes.pop() if len(classes) == 1 else None)
        if given and public_host(given) != given:
            setattr(self.options, HOST_DESTINATION, given)
            self._environment.host = public_host(given)
            for kind in self._classes:
                kind.host = kind.host and public_host(kind.host)

    @property
    def locustfile(self) -> str | None:
        """The locustfiles as given, URLs without secrets; None if there is none."""
        given: str | None = getattr(self.options, "locustfile", None)
        return given and public_locustfiles(given)

    @property
    def ci(self) -> CiOutput:
        """The files that the runs write for CI."""
        return ci_output(self.options, self._classes)

    @property
    def run_time_s(self) -> float | None:
        """Duration of a run in seconds; None if it lasts until stopped."""
        return float(self.options.run_time) if self.options.run_time else None

    def settings(self, host: str, changes: Mapping[str, Any] | None = None) -> LoadSettings:
        """Return the settings of the first class, with the secrets of all classes.

        Use it for settings of the whole run, which are the same in all classes. Arguments and errors are
        those of `settings_by_class`.
        """
        of_first = next(iter(self.settings_by_class(host, changes).values()))
        return replace(of_first, secrets=self.secrets)

    def settings_by_class(
        self, host: str, changes: Mapping[str, Any] | None = None
    ) -> dict[str, LoadSettings]:
        """Return the settings of each user class, by its name.

        Args:
            host: URL of the server.
            changes: values that replace parsed options, by destination.

        Raises:
            UsageError: a value is invalid, or classes differ in a setting of the whole run.
        """
        options = argparse.Namespace(**{**vars(self.options), **(changes or {})})
        given = given_values(options)
        values = {kind.__name__: overridden(kind.values(), given) for kind in self._classes}
        agree(values)
        settings = {
            kind.__name__: self._of_class(kind, values[kind.__name__], host) for kind in self._classes
        }
        engines = [one.engine for one in settings.values()]
        check_pings((one.ping_interval_ns / 1e9, one.ping_timeout_ns / 1e9) for one in engines)
        self.secrets = joined([one.secrets for one in settings.values()])
        return settings

    def _of_class(self, kind: Any, values: Mapping[str, Any], host: str) -> LoadSettings:
        try:
            return load_settings(values, host, kind.script())
        except InvalidSetting as error:
            if len(self._classes) == 1:
                raise
            raise UsageError(f"{kind.__name__}: {error}") from error

    @property
    def taking_part(self) -> Sequence[str]:
        """The names of the user classes of a run: the class picker of Locust's page may leave some out."""
        chosen = [kind for kind in self._classes if kind in self._environment.user_classes]
        return [kind.__name__ for kind in chosen or self._classes]

    def users_by_class(self, users: int) -> dict[str, int]:
        """Return how many of a run's users hold sessions, by class: Locust distributes users by weight.

        Classes without sessions may have a share. With a load shape the numbers are unknown: all are 0.
        """
        names = [kind.__name__ for kind in self._classes]
        kinds = self._environment.user_classes
        if len(kinds) == 1:
            return {name: users if name == kinds[0].__name__ else 0 for name in names}
        if self._environment.shape_class is not None or users == 0:
            return dict.fromkeys(names, 0)
        dispatcher = self._environment.dispatcher_class(
            worker_nodes=[WorkerNode("all")], user_classes=list(kinds)
        )
        dispatcher.new_dispatch(users, users)
        (shares,) = next(dispatcher).values()
        return {name: shares.get(name, 0) for name in names}

    def check(self, *, connects: bool) -> None:
        """Check everything that can be checked before a run.

        Args:
            connects: whether this process opens connections; if so, the source addresses must be its own.

        Raises:
            LoadtestError: a run could not begin with these settings.
        """
        by_class = self.settings_by_class(self.host or PLACEHOLDER_URL)
        settings = next(iter(by_class.values()))
        check_writable(settings.results)
        self.ci.check()
        check_logs(settings.log)
        for own in by_class.values():
            check_storms(own.plan.storms, self.run_time_s)
            if connects:
                check_token_command(own.token)
                for address in own.engine.source_ips:
                    check_source(address)
        check_drills(settings.drills, self.run_time_s, secrets=self.secrets)
        if settings.baseline not in (None, NO_BASELINE):
            resolve(settings.baseline, settings.results)
        if self.options.headless:
            self.check_users(by_class, self.options.num_users or 1)  # Locust's default
            if self.host:
                self._check_reachable(settings.engine)

    def _check_reachable(self, engine: EngineSettings) -> None:
        """Check that something listens where connections go first: the server or the proxy."""
        if engine.proxy is None:
            check_reachable(engine.target)
        else:
            check_proxy(engine.proxy)

    def check_users(self, by_class: Mapping[str, LoadSettings], users: int, workers: int = 1) -> None:
        """Check that `--ws-data` has a row for each session of a run with this many users.

        With a load shape, the number of sessions is not known here. Locust balances all users over workers,
        but not those of each class: any worker may run all users of a class, and the numbers of the others
        are then unused.

        Raises:
            InvalidSetting: there are too few rows.
        """
        if self._environment.shape_class is not None:
            return
        apart = workers if len(self._environment.user_classes) > 1 else 1
        shares = self.users_by_class(users)
        for name, settings in by_class.items():
            why = f"any of {apart} workers may run all users of {name}" if apart > 1 else ""
            check_rows(settings, shares[name] * apart, why)

    def check_form(self, form: Mapping[str, str]) -> None:
        """Check the values of Locust's web form.

        Raises:
            LoadtestError: a run could not begin with them.
        """
        changes = {name: text for name, text in form.items() if name.startswith("ws_")}
        host = form.get("host") or self.host or PLACEHOLDER_URL
        by_class = self.settings_by_class(host, {**changes, **self._at_start})
        settings = next(iter(by_class.values()))
        with suppress(ValueError):  # Locust itself refuses bad numbers
            self.check_users(by_class, int(form.get("user_count", 0)))
        with suppress(ValueError):  # and a bad run time
            run_time = form.get("run_time")
            run_time_s = parse_timespan(run_time) if run_time else None
            for own in by_class.values():
                check_storms(own.plan.storms, run_time_s)
            check_drills(settings.drills, run_time_s, secrets=self.secrets)

    def start_form(self) -> StartForm:
        """Return the start form with its current values."""
        form = start_form(self.options, self._classes, self.shown_host)
        if self.options.class_picker or self._environment.shape_class is not None:
            return msgspec.structs.replace(form, elsewhere=_ELSEWHERE)
        return form

    def restore(self) -> None:
        """Reset the options that are not in the web form to their values at process start.

        If a field with several values is cleared, Locust keeps one empty value.
        """
        vars(self.options).update(self._at_start)
        cleared = [name for name, value in vars(self.options).items() if value == [""]]
        vars(self.options).update(dict.fromkeys(cleared))
        self._hide_host()
