"""The emulator's own control API, `/_emulator/…`, beside AWS's on the same port: settings, faults, clock, and what
AWS's API does not show.

Rule: requests are unsigned, which is safe only because the port is on loopback. Requests that a web page could make a
browser send (no JSON media type, another Host) are refused.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from typing import Any, TypeVar

from flask import Blueprint, Response, abort, request
from pydantic import BaseModel, ValidationError
from pydantic_core import to_json

from localcloud.apprunner.cloud import Cloud
from localcloud.apprunner.settings import Behaviour, Fault
from localcloud.apprunner.views import Advance, ServiceView

PREFIX = "/_emulator"
_HOSTS = ("127.0.0.1", "localhost")
_Model = TypeVar("_Model", bound=BaseModel)


def control_api(cloud: Cloud) -> Blueprint:
    """The routes, for Flask."""
    routes = Blueprint("control_api", __name__, url_prefix=PREFIX)
    routes.before_request(_refuse_browsers)
    routes.register_error_handler(ValidationError, _bad_request)

    operations: dict[tuple[str, str], Callable[[], Any]] = {
        ("GET", "/settings"): lambda: cloud.behaviour,
        ("PUT", "/settings"): lambda: cloud.behave(_body(Behaviour)),
        ("GET", "/faults"): cloud.faults.waiting,
        ("POST", "/faults"): lambda: cloud.faults.add(_body(Fault)),
        ("DELETE", "/faults"): cloud.faults.clear,
        ("POST", "/clock/advance"): lambda: cloud.clock.advance(_body(Advance).seconds),
        ("GET", "/services"): lambda: _service_views(cloud),
        ("GET", "/calls"): lambda: list(cloud.calls),
        ("POST", "/reset"): cloud.reset,
    }
    for (method, path), operation in operations.items():
        routes.add_url_rule(path, f"{method} {path}", partial(_answer, operation), methods=[method])
    return routes


def _service_views(cloud: Cloud) -> list[ServiceView]:
    views = {service.id: ServiceView.model_validate(service) for service in cloud.store.all_services()}
    for instance in cloud.runtime.instances():
        if view := views.get(instance.service_id):
            shown = {"pid": instance.pid if instance.alive else None, "log": str(instance.log)}
            views[view.id] = view.model_copy(update=shown)
    return list(views.values())


def _refuse_browsers() -> None:
    host = request.host.partition(":")[0]
    if host not in _HOSTS or (request.method in ("POST", "PUT") and not request.is_json):
        abort(403)


def _bad_request(error: ValidationError) -> Response:
    return Response(error.json(include_url=False), 400, content_type="application/json")


def _body(model: type[_Model]) -> _Model:
    return model.model_validate_json(request.get_data())


def _answer(operation: Callable[[], Any]) -> Response:
    """What the operation returns, as JSON; no content for a change, which returns nothing."""
    result = operation()
    return Response(status=204) if result is None else Response(to_json(result), content_type="application/json")
