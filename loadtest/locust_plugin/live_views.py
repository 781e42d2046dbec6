"""The live views of this process's runs: the web page's tab, Prometheus, OpenTelemetry.

Only processes that keep run directories have live views; with workers, that is the master. A run without live
views, such as a plain headless run, keeps no data for them.
"""

from importlib.util import find_spec
from typing import Any

from locust.env import Environment

from loadtest.locust_plugin.configuration import Configuration
from loadtest.locust_plugin.recording import Recording
from loadtest.locust_plugin.scrubbed_output import AllSecrets
from loadtest.locust_plugin.web import Names, guard
from loadtest.locust_plugin.web_tab import add_tab
from loadtest.metrics.latest_run import LatestRun, ShownRun
from loadtest.metrics.live_run import Details
from loadtest.results.manifest import Manifest


class LiveViews:
    """The live views, which show the latest run.

    Args:
        environment: Locust's environment.
        configuration: the settings of this process's runs.
        secrets: texts that are never shown.

    Attributes:
        latest: holds the latest run.
    """

    def __init__(self, environment: Environment, configuration: Configuration, secrets: AllSecrets) -> None:
        self.latest = LatestRun()
        self._environment = environment
        self._configuration = configuration
        self._secrets = secrets
        self._watched = False

    def start(self) -> None:
        """Start the live views that the options ask for.

        Raises:
            InvalidSetting: the port of `--ws-prometheus` is taken.
        """
        configuration, web_ui = self._configuration, self._environment.web_ui
        if web_ui is not None and web_ui.app is not None:
            self._start_tab(web_ui)
        if configuration.prometheus_port is not None:
            from loadtest.locust_plugin.metrics_server import MetricsServer  # slow, and few runs need it

            MetricsServer(configuration.prometheus_port, self.latest)
            self._watched = True
        if getattr(configuration.options, "otel", False) and find_spec("opentelemetry") is not None:
            from loadtest.metrics.otel_instruments import observe

            observe(self.latest)  # if it is not installed, Locust has reported that
            self._watched = True

    def _start_tab(self, web_ui: Any) -> None:
        configuration, options = self._configuration, self._configuration.options
        add_tab(web_ui, self.latest, configuration.start_form)
        guard(
            web_ui.app,
            names=Names(options.web_host, options.web_host_display_name),
            check=configuration.check_form,
            shown_host=lambda: configuration.shown_host,
            secrets=self._secrets,
        )
        self._watched = True

    def details(self, manifest: Manifest, *, watched: bool) -> Details | None:
        """Return the object that keeps a run's details; None without a live view.

        Args:
            manifest: the run's manifest.
            watched: whether a terminal also shows details.
        """
        return Details(manifest) if self._watched or watched else None

    def begin(self, manifest: Manifest, recording: Recording) -> None:
        """Show this run."""
        self.latest.begin(
            ShownRun(
                manifest=manifest,
                path=recording.writer.path,
                live=recording.live,
                elapsed_s=lambda: recording.elapsed_ns / 1e9,
            )
        )
