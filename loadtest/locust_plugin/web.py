"""Locust's web form: a setting that cannot be is refused where it was typed.

Locust starts a run with whatever its form holds and answers success; what is wrong with a setting would stand
in its log only, while the page shows a run that never begins.
"""

from collections.abc import Callable, Mapping

from flask import Flask, Response, jsonify, request

from loadtest.errors import LoadtestError


def refuse_bad_settings(app: Flask, check: Callable[[Mapping[str, str]], object]) -> None:
    """Have the form's values checked before Locust takes them.

    Args:
        app: of Locust's web UI.
        check: takes the form; raises a LoadtestError with what to say.
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
