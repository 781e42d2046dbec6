"""The "WebSocket" tab of Locust's web page, and the page behind it.

Locust's page supports extra tabs with a table of texts, but stops reading them when a run ends, and its form
shows all extra options as one list. So the tab shows a separate page, `websocket`, in a frame: the live view,
the verdict and a link to the report. Opened directly, the page also has the start form, with the options by
group. It is static, draws texts that it reads as JSON, and loads only its own script and style.

    websocket                     the page
    websocket/state               the latest run
    websocket/form                the fields of the start form
    websocket/runs/ID/FILE        the report of a run that this process made, and the files it links to

All of it requires Locust's login, if there is one, and `loadtest.locust_plugin.web` guards it like Locust's
pages.
"""

from collections.abc import Callable
from pathlib import Path
from typing import Any, Final, TypeVar

import msgspec
from flask import Blueprint, Response, jsonify, make_response, request, send_from_directory

from loadtest.locust_plugin.web_form import StartForm
from loadtest.metrics.latest_run import LatestRun
from loadtest.regular_files import open_regular
from loadtest.report.run_files import files_of
from loadtest.report.tab_state import tab_state

KEY: Final = "websocket"

_FILES: Final = Path(__file__).parent / "web_files"

_PAGE_POLICY: Final = (
    "default-src 'none'; script-src 'self'; style-src 'self'; connect-src 'self'; img-src data:; "
    "form-action 'self'; base-uri 'none'; frame-ancestors 'self'"
)

_REPORT_POLICY: Final = (
    "sandbox allow-scripts allow-popups allow-downloads; default-src 'none'; script-src 'unsafe-inline'; "
    "style-src 'unsafe-inline'; img-src data:; base-uri 'none'; form-action 'none'; frame-ancestors 'none'"
)
"""In addition to the report's own, stricter policy: if injected content bypassed that one, the page would
still have no origin and could not send requests to this process."""

_REPORT: Final = "report.html"

_TYPES: Final = {
    ".html": "text/html",
    ".json": "application/json",
    ".csv": "text/csv",
}
"""Media types of a run's files, by suffix; others are plain text, because XML could load its own style."""

_View = TypeVar("_View", bound=Callable[..., Response])

_TAB_SCRIPT: Final = f'<script src="./{KEY}/tab.js" defer></script></body>'


def add_tab(web_ui: Any, latest: LatestRun, form: Callable[[], StartForm]) -> None:
    """Add the tab to Locust's page, and its page to the app. Call it before the app serves requests.

    Args:
        web_ui: Locust's web UI.
        latest: holds the latest run.
        form: returns the start form with its current values.
    """
    prefix = web_ui.app.blueprints["locust"].url_prefix or ""
    web_ui.app.register_blueprint(_blueprint(web_ui, latest, form), url_prefix=f"{prefix}/{KEY}")
    tabs = web_ui.template_args.setdefault("extended_tabs", [])
    tabs.append({"title": "WebSocket", "key": KEY})
    web_ui.app.after_request(_with_tab_script)


def _blueprint(web_ui: Any, latest: LatestRun, form: Callable[[], StartForm]) -> Blueprint:
    pages = Blueprint("loadtest", __name__)
    private: Callable[[_View], _View] = web_ui.auth_required_if_enabled

    @pages.get("")
    @private
    def page() -> Response:
        answer = send_from_directory(_FILES, "websocket.html")
        answer.headers["Content-Security-Policy"] = _PAGE_POLICY
        return _plain(answer)

    @pages.get("/<any('websocket.js', 'websocket.css', 'tab.js'):name>")
    def static_file(name: str) -> Response:
        return _plain(send_from_directory(_FILES, name))

    @pages.get("/state")
    @private
    def state() -> Response:
        run = latest.shown
        has_report = run is not None and run.verdict is not None and (run.path / _REPORT).is_file()
        return _plain(jsonify({"run": None if run is None else tab_state(run, has_report=has_report)}))

    @pages.get("/form")
    @private
    def start_form() -> Response:
        return _plain(jsonify(msgspec.to_builtins(form())))

    @pages.get("/runs/<run_id>/<name>")
    @private
    def report(run_id: str, name: str) -> Response:
        folder = latest.paths.get(run_id)
        if folder is None or name not in (_REPORT, *(one.name for one in files_of(folder))):
            return _no_report()
        return _report(folder / name)

    return pages


def _report(path: Path) -> Response:
    try:
        file = open_regular(path)
    except OSError:
        return _no_report()
    kind = _TYPES.get(path.suffix, "text/plain")
    answer = Response(file, content_type=f"{kind}; charset=utf-8", direct_passthrough=True)
    answer.headers["Content-Security-Policy"] = _REPORT_POLICY
    return _plain(answer)


def _no_report() -> Response:
    return make_response("Report not found.\n", 404, {"Content-Type": "text/plain"})


def _plain(answer: Response) -> Response:
    """Return an answer that browsers do not cache, sniff, or disclose in referrers."""
    answer.headers["Cache-Control"] = "no-store"
    answer.headers["X-Content-Type-Options"] = "nosniff"
    answer.headers["Referrer-Policy"] = "no-referrer"
    return answer


def _with_tab_script(answer: Response) -> Response:
    """Add the tab's script to Locust's page, which has no extension point for scripts."""
    if request.endpoint == "locust.index" and answer.mimetype == "text/html":
        answer.set_data(answer.get_data(as_text=True).replace("</body>", _TAB_SCRIPT))
    return answer
