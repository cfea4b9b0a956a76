"""The emulator's own door, `/_emulator/…`, beside AWS's on the same port: settings, faults, clock, and what AWS's API
does not show.

Rule: unsigned, and therefore only because the port is on loopback; requests that a web page could send unasked (no
JSON media type, another Host) are refused.

    GET  /_emulator/settings      Behaviour            PUT  /_emulator/settings         Behaviour → Behaviour
    GET  /_emulator/faults        [Fault]              POST /_emulator/faults           Fault → [Fault]
    DELETE /_emulator/faults                           POST /_emulator/clock/advance    Advance → ClockView
    GET  /_emulator/clock         ClockView            POST /_emulator/reset
    GET  /_emulator/services      [ServiceView]        GET  /_emulator/calls            [CallView]
"""

from __future__ import annotations

from collections.abc import Sequence

from flask import Blueprint, Request, Response, abort, request
from pydantic import BaseModel, TypeAdapter, ValidationError

from localcloud.apprunner.calls import CallLog
from localcloud.apprunner.cloud import Cloud
from localcloud.apprunner.model import Operation, Service
from localcloud.apprunner.runtime import Instance
from localcloud.apprunner.settings import Behaviour, Fault
from localcloud.apprunner.views import Advance, ClockView, OperationView, ServiceView

PREFIX = "/_emulator"
_HOSTS = ("127.0.0.1", "localhost")


class Door:
    """The routes of the door."""

    def __init__(self, cloud: Cloud, calls: CallLog) -> None:
        self._cloud = cloud
        self._calls = calls

    def blueprint(self) -> Blueprint:
        """The routes, for Flask."""
        routes = Blueprint("door", __name__, url_prefix=PREFIX)
        routes.before_request(_refuse_strangers)
        routes.register_error_handler(ValidationError, _bad_request)
        for method, path, view in (
            ("GET", "/settings", self._settings),
            ("PUT", "/settings", self._change_settings),
            ("GET", "/faults", self._faults),
            ("POST", "/faults", self._add_fault),
            ("DELETE", "/faults", self._clear_faults),
            ("GET", "/clock", self._clock),
            ("POST", "/clock/advance", self._advance),
            ("GET", "/services", self._services),
            ("GET", "/calls", self._list_calls),
            ("POST", "/reset", self._reset),
        ):
            routes.add_url_rule(path, endpoint=f"{method} {path}".replace(".", ""), view_func=view, methods=[method])
        return routes

    def _settings(self) -> Response:
        return _one(self._cloud.behaviour)

    def _change_settings(self) -> Response:
        self._cloud.behave(Behaviour.model_validate_json(request.get_data()))
        return self._settings()

    def _faults(self) -> Response:
        return _many(self._cloud.faults.waiting())

    def _add_fault(self) -> Response:
        self._cloud.faults.add(Fault.model_validate_json(request.get_data()))
        return self._faults()

    def _clear_faults(self) -> Response:
        self._cloud.faults.clear()
        return self._faults()

    def _clock(self) -> Response:
        return _one(ClockView(now=self._cloud.clock.now()))

    def _advance(self) -> Response:
        return _one(ClockView(now=self._cloud.clock.advance(Advance.model_validate_json(request.get_data()).seconds)))

    def _services(self) -> Response:
        running = {each.service_id: each for each in self._cloud.runtime.instances()}
        return _many([_view(service, running.get(service.id)) for service in self._cloud.store.all_services()])

    def _list_calls(self) -> Response:
        return _many(self._calls.all())

    def _reset(self) -> Response:
        self._cloud.reset()
        self._calls.clear()
        return Response(status=204)


def _view(service: Service, instance: Instance | None) -> ServiceView:
    return ServiceView(
        name=service.name,
        id=service.id,
        arn=service.arn,
        region=service.region,
        url=service.url,
        status=service.status,
        tags=dict(service.tags),
        operations=[_operation_view(each) for each in service.operations],
        pid=instance.pid if instance and instance.alive else None,
        log=str(instance.log) if instance else None,
    )


def _operation_view(operation: Operation) -> OperationView:
    return OperationView(
        id=operation.id,
        type=operation.type,
        status=operation.status,
        started_at=operation.started_at,
        ended_at=operation.ended_at,
        reason=operation.reason,
    )


def _refuse_strangers() -> None:
    if _is_stranger(request):
        abort(403)


def _is_stranger(incoming: Request) -> bool:
    host = incoming.host.partition(":")[0]
    return host not in _HOSTS or (incoming.method in ("POST", "PUT") and not incoming.is_json)


def _bad_request(error: ValidationError) -> Response:
    return Response(error.json(include_url=False), 400, content_type="application/json")


def _one(value: BaseModel) -> Response:
    return Response(value.model_dump_json(), content_type="application/json")


def _many(values: Sequence[BaseModel]) -> Response:
    return Response(
        TypeAdapter(list[BaseModel]).dump_json(list(values), serialize_as_any=True), content_type="application/json"
    )
