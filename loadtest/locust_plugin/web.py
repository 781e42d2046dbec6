"""Makes Locust's web form refuse bad settings and show why.

Locust itself starts a run with whatever the form contains and answers success: a bad setting would appear
only in the log, and the page would show a run that never begins.
"""

from collections.abc import Callable, Mapping

from flask import Flask, Response, jsonify, request

from loadtest.errors import LoadtestError


def refuse_bad_settings(app: Flask, check: Callable[[Mapping[str, str]], object]) -> None:
    """Check the form's values before Locust uses them.

    Args:
        app: the Flask app of Locust's web UI.
        check: called with the form; if it raises a LoadtestError, the page shows its text.
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
