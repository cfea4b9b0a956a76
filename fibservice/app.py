"""The Flask application: `/fib/<n>` and `/health`.

The rule: every response is JSON, also errors: `{"error": "<reason>", "status": <code>, "title": "<name>"}`.
"""

from __future__ import annotations

import sys

from flask import Flask, Response, jsonify
from werkzeug.exceptions import BadRequest, HTTPException

from fibservice.fibonacci import MAX_DIGITS, InvalidIndex, fibonacci, parse_index


def create_app() -> Flask:
    """The application, ready for any WSGI server.

    Raises this process's limit on the digits of an int as text (`sys.set_int_max_str_digits`, 4,300 by default) to those of the
    longest response. Inputs have a limit of their own, which is checked before they are read as numbers.
    """
    _allow_long_answers()
    app = Flask("fibservice", static_folder=None)
    app.json.compact = True  # type: ignore[attr-defined]
    app.add_url_rule("/fib/<path:text>", view_func=_fib)
    app.add_url_rule("/fib", view_func=_fib, defaults={"text": ""}, strict_slashes=False)
    app.add_url_rule("/health", view_func=_health)
    app.register_error_handler(HTTPException, _problem)
    return app


def _fib(text: str) -> Response:
    try:
        n = parse_index(text)
    except InvalidIndex as invalid:
        raise BadRequest(str(invalid)) from invalid
    return jsonify(fib=fibonacci(n), n=n)


def _health() -> Response:
    return jsonify(status="healthy")


def _problem(error: HTTPException) -> Response:
    response = Response(status=error.code, headers=error.get_headers())
    body = jsonify(error=error.description, status=error.code, title=error.name)
    response.data = body.data
    response.mimetype = "application/json"
    return response


def _allow_long_answers() -> None:
    limit = sys.get_int_max_str_digits()
    if 0 < limit < MAX_DIGITS:
        sys.set_int_max_str_digits(MAX_DIGITS)
