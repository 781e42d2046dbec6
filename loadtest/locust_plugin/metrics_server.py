"""Serves the metrics of a run to a Prometheus server on this machine (`--ws-prometheus`).

It is a gevent server, so a slow reader delays nothing else. It listens on 127.0.0.1 only, and answers only
requests for that address or localhost. A web page whose host name was pointed at this machine (DNS rebinding)
can read nothing.
"""

import logging
import os
from collections.abc import Callable, Iterable
from typing import Any

from gevent import pywsgi

from loadtest.errors import InvalidSetting
from loadtest.locust_plugin.web import Names
from loadtest.metrics.latest_run import LatestRun
from loadtest.metrics.prometheus_page import metrics_page
from loadtest.options import SETTINGS
from loadtest.transport.target import LOOPBACK

logger = logging.getLogger("loadtest")

PATH = "/metrics"

_PLAIN = [("Content-Type", "text/plain; charset=utf-8")]

_App = Callable[[dict[str, Any], Callable[..., Any]], Iterable[bytes]]


def guarded(page: _App) -> _App:
    """Return an application that serves a page at `/metrics` for GET and HEAD, to local host names only."""
    names = Names(None, None)

    def answer(environ: dict[str, Any], start_response: Callable[..., Any]) -> Iterable[bytes]:
        if environ.get("HTTP_HOST", "") not in names:
            start_response("421 Misdirected Request", _PLAIN)
            return [f"Use http://{LOOPBACK}:{environ.get('SERVER_PORT', '')}{PATH}\n".encode()]
        if environ["REQUEST_METHOD"] not in ("GET", "HEAD"):
            start_response("405 Method Not Allowed", [*_PLAIN, ("Allow", "GET, HEAD")])
            return [b"Only GET and HEAD are answered.\n"]
        if environ["PATH_INFO"] != PATH:
            start_response("404 Not Found", _PLAIN)
            return [f"The metrics are at {PATH}\n".encode()]
        return page(environ, start_response)

    return answer


class MetricsServer:
    """Serves the metrics until the process ends.

    Args:
        port: where to listen, on 127.0.0.1.
        latest: holds the run that is shown.

    Raises:
        InvalidSetting: the port is taken.
    """

    def __init__(self, port: int, latest: LatestRun) -> None:
        self._server = pywsgi.WSGIServer(
            (LOOPBACK, port), guarded(metrics_page(latest)), log=None, error_log=logger
        )
        try:
            self._server.start()
        except OSError as error:
            option = SETTINGS["prometheus_port"].option
            why = f"must be a free port on {LOOPBACK} ({os.strerror(error.errno or 0)})"
            raise InvalidSetting(option, port, why) from error
        logger.info("metrics for Prometheus: http://%s:%d%s", LOOPBACK, port, PATH)

    def stop(self) -> None:
        """Stop the server."""
        self._server.stop(timeout=0)
