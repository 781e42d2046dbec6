"""Locust's web form refuses bad settings, with a message beside it.

Locust itself starts a run with whatever its form holds and answers success: a bad setting would be in the log
only, and the page would show a run that never begins.
"""

from collections.abc import Callable, Mapping

from flask import Flask, Response, jsonify, request

from loadtest.errors import LoadtestError


def refuse_bad_settings(app: Flask, check: Callable[[Mapping[str, str]], object]) -> None:
    """Check the form's values before Locust takes them.

    Args:
        app: Locust's web UI.
        check: takes the form; raises a LoadtestError, whose text the page shows.
    """

    def refuse() -> Response | None:
        if request.method != "POST" or not request.path.endswith("/swarm"):
            return None
        try:
            check(request.form)
        except LoadtestError as error:
            return jsonify({"success": False, "message": str(error), "host": request.form.get("host")})
        return None

    app.before_request(refuse)
