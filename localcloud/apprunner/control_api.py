"""The emulator's own control API, `/_emulator/…`, beside AWS's on the same port: settings, faults, clock, and what
AWS's API does not show.

Rule: requests are unsigned, which is safe only because the port is on loopback. Requests that a web page could make a
browser send (no JSON media type, another Host) are refused.

    GET  /_emulator/settings      → Behaviour          PUT    /_emulator/settings       Behaviour →
    GET  /_emulator/faults        → [Fault]            POST   /_emulator/faults         Fault →
    GET  /_emulator/services      → [ServiceView]      DELETE /_emulator/faults
    GET  /_emulator/calls         → [CallView]         POST   /_emulator/clock/advance  Advance →
                                                       POST   /_emulator/reset
"""

from __future__ import annotations

from collections.abc import Sequence

from flask import Blueprint, Response, abort, request
from pydantic import BaseModel, ValidationError
from pydantic_core import to_json

from localcloud.apprunner.cloud import Cloud
from localcloud.apprunner.settings import Behaviour, Fault
from localcloud.apprunner.views import Advance, ServiceView

PREFIX = "/_emulator"
_HOSTS = ("127.0.0.1", "localhost")


def control_api(cloud: Cloud) -> Blueprint:
    """The routes, for Flask."""
    routes = Blueprint("control_api", __name__, url_prefix=PREFIX)
    routes.before_request(_refuse_browsers)
    routes.register_error_handler(ValidationError, _bad_request)

    @routes.get("/settings")
    def settings() -> Response:
        return _json(cloud.behaviour)

    @routes.put("/settings")
    def change_settings() -> Response:
        cloud.behave(Behaviour.model_validate_json(request.get_data()))
        return Response(status=204)

    @routes.get("/faults")
    def faults() -> Response:
        return _json(cloud.faults.waiting())

    @routes.post("/faults")
    def add_fault() -> Response:
        cloud.faults.add(Fault.model_validate_json(request.get_data()))
        return Response(status=204)

    @routes.delete("/faults")
    def clear_faults() -> Response:
        cloud.faults.clear()
        return Response(status=204)

    @routes.post("/clock/advance")
    def advance() -> Response:
        cloud.clock.advance(Advance.model_validate_json(request.get_data()).seconds)
        return Response(status=204)

    @routes.get("/services")
    def services() -> Response:
        return _json(_service_views(cloud))

    @routes.get("/calls")
    def calls() -> Response:
        return _json(list(cloud.calls))

    @routes.post("/reset")
    def reset() -> Response:
        cloud.reset()
        return Response(status=204)

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


def _json(value: BaseModel | Sequence[BaseModel]) -> Response:
    return Response(to_json(value), content_type="application/json")
