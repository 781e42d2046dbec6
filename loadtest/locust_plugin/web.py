"""Guards Locust's web page: hosts and origins, form values, and secrets in answers.

Locust listens on all interfaces, answers any `Host` header and allows every origin to read the answers. Its
page contains the values of all options, and `POST /user` sets any attribute of a user class. So a foreign web
page, open in a browser on this machine or in its network, could read a token or start a command. This module

    Host            refuses requests for any name but the page's (421): DNS rebinding uses the attacker's name
    Origin          refuses requests from other origins (403), which may not read answers either
    forms           refuses a form with the reason if a run could not begin with it; an empty secret field
                    keeps its value
    POST /user      sets only what Locust's own page sets
    answers         removes secrets from defaults, log lines, reports, errors and tables
"""

import ipaddress
import json
import platform
import re
from collections.abc import Callable, Mapping
from typing import Any, Final
from urllib.parse import SplitResult, urlsplit

from flask import Flask, Response, jsonify, make_response, request
from werkzeug.datastructures import ImmutableMultiDict, MultiDict

from loadtest.errors import LoadtestError
from loadtest.locust_plugin.scrubbed_output import AllSecrets
from loadtest.options import SETTINGS
from loadtest.scrubber import Secrets, without_secrets

_ALWAYS_OURS: Final = frozenset({"localhost", "localhost.localdomain"})
_OF_USER_CLASS: Final = frozenset({"user_class_name", "host", "weight", "fixed_count", "tasks"})
"""Attributes that Locust's page sends to `POST /user`."""

_SECRETS: Final = tuple(row.destination for row in SETTINGS.values() if row.secret and row.in_web_form)
_ARGUMENTS: Final = re.compile(r"(window\.templateArgs = )(.*)")
_IN_SCRIPT: Final = {ord(one): f"\\u{ord(one):04x}" for one in "<>&'"}
_NEVER_SECRET: Final = frozenset({"history"})
"""Keys of numbers and times, which may be very many."""


class Names:
    """The host names that the page accepts.

    Addresses are always accepted: a deceived browser requests the page by name.

    Args:
        web_host: `--web-host`.
        display_name: `--web-host-display-name`, the page's URL behind a proxy, or its name.
    """

    def __init__(self, web_host: str | None, display_name: str | None) -> None:
        self._displayed = _host_of(display_name or "")
        own = (web_host or "", self._displayed, platform.node())
        self._names = _ALWAYS_OURS | {name.lower() for name in own if name}

    def __contains__(self, host: str) -> bool:
        name = _host_of(host).lower().rstrip(".")
        return name in self._names or name.endswith(".localhost") or _is_address(name)

    def has_origin(self, origin: str, host: str) -> bool:
        """Return whether an `Origin` is this page's, for a request with this `Host`.

        A proxy may put its own name for the page into `Host`; the browser uses the display name.
        """
        return _split(origin).netloc == host or (_split(origin).hostname or "") == self._displayed != ""


def _host_of(given: str) -> str:
    """Return the host of a URL or of a `Host` header, in lower case; empty if it is malformed."""
    return _split(given if "://" in given else f"//{given}").hostname or ""


def _split(url: str) -> SplitResult:
    """Return a URL's parts, which are empty if it is malformed."""
    try:
        return urlsplit(url)
    except ValueError:
        return SplitResult("", "", "", "", "")


def _is_address(name: str) -> bool:
    try:
        ipaddress.ip_address(name)
    except ValueError:
        return False
    return True


def guard(
    app: Flask,
    *,
    names: Names,
    check: Callable[[Mapping[str, str]], object],
    shown_host: Callable[[], str | None],
    secrets: AllSecrets,
) -> None:
    """Guard the Flask app of Locust's web UI.

    Args:
        app: the app.
        names: names of the page.
        check: called with the form; if it raises a LoadtestError, the page shows its text.
        shown_host: returns the server's URL as the page shows it, without secrets.
        secrets: texts that no answer may contain.
    """

    def before() -> Response | None:
        if refused := _refused(names):
            return refused
        if request.method != "POST":
            return None
        if request.path.endswith("/user"):
            return _refused_user()
        return _refused_form(check, shown_host()) if request.path.endswith("/swarm") else None

    def after(response: Response) -> Response:
        response.headers.pop("Access-Control-Allow-Origin", None)
        return _scrubbed(response, secrets())

    app.before_request(before)
    app.after_request_funcs.setdefault(None, []).insert(0, after)  # the first runs last: after Locust's CORS


def _refused(names: Names) -> Response | None:
    if request.host not in names:
        return make_response(
            "The request's host name is not one of this page's. Use the page's IP address or localhost, or "
            "allow the name with --web-host or --web-host-display-name.\n",
            421,
            {"Content-Type": "text/plain; charset=utf-8"},
        )
    origin = request.headers.get("Origin")
    if origin is not None and not names.has_origin(origin, request.host):
        why = "Requests from pages of another origin are refused.\n"
        return make_response(why, 403, {"Content-Type": "text/plain; charset=utf-8"})
    return None


def _refused_user() -> Response | None:
    given = request.get_json(force=True, silent=True)
    if isinstance(given, dict) and _OF_USER_CLASS.issuperset(given):
        return None
    allowed = ", ".join(sorted(_OF_USER_CLASS))
    return make_response(f"Only these attributes of a user class can be set here: {allowed}.\n", 400)


def _refused_form(check: Callable[[Mapping[str, str]], object], shown_host: str | None) -> Response | None:
    """Remove unchanged values from the form; return the refusal, None if the form is accepted."""
    form = MultiDict(request.form)
    for secret in _SECRETS:
        if not form.get(secret):
            form.pop(secret, None)
    if form.get("host") == shown_host:
        form.pop("host", None)
    request.form = ImmutableMultiDict(form)
    try:
        check(request.form)
    except LoadtestError as error:
        return jsonify(
            {"success": False, "message": str(error), "host": request.form.get("host", shown_host)}
        )
    return None


def _scrubbed(response: Response, secrets: Secrets) -> Response:
    """Return an answer without secrets; the page's own files, and tables on disk, are sent unchanged."""
    if response.direct_passthrough or response.is_streamed:
        return response
    if response.mimetype == "application/json":
        response.set_data(json.dumps(_without(json.loads(response.get_data()), secrets)))
    elif (response.mimetype or "").startswith("text/"):
        response.set_data(_page(response.get_data(as_text=True), secrets))
    return response


def _page(text: str, secrets: Secrets) -> str:
    """Return a page without secrets in its data; the rest of the page only draws the data."""
    found = _ARGUMENTS.search(text)
    if found is None:
        return without_secrets(text, secrets)
    arguments = json.loads(found[2])
    for option in (arguments.get("extra_options") or {}).values():
        if option.get("is_secret"):
            option["default_value"] = None
    data = json.dumps(_without(arguments, secrets)).translate(_IN_SCRIPT)
    return f"{text[: found.start(2)]}{data}{text[found.end(2) :]}"


def _without(value: Any, secrets: Secrets) -> Any:
    if isinstance(value, str):
        return without_secrets(value, secrets)
    if isinstance(value, list):
        return [_without(one, secrets) for one in value]
    if isinstance(value, dict):
        return {
            without_secrets(name, secrets): one if name in _NEVER_SECRET else _without(one, secrets)
            for name, one in value.items()
        }
    return value
