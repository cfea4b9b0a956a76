"""AWS's JSON protocol: one POST to `/`, the operation in X-Amz-Target, errors as `{"__type": …, "Message": …}`.

Rule: every request ends here in an answer of AWS's form and in one line of the call log, also when the emulator
itself fails.
"""

from __future__ import annotations

import json
import logging
import uuid
from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Any

from flask import Blueprint, Request, Response, request
from werkzeug.exceptions import RequestEntityTooLarge

from localcloud.apprunner import operations
from localcloud.apprunner.calls import CallLog
from localcloud.apprunner.cloud import Cloud
from localcloud.apprunner.errors import ApiError, InvalidRequest, Malformed
from localcloud.apprunner.iam import Iam, Signed
from localcloud.apprunner.model import Block, Caller
from localcloud.apprunner.operations import Api, Target
from localcloud.apprunner.permissions import Check, checks
from localcloud.apprunner.schema import parse, serialise
from localcloud.apprunner.settings import FaultKind
from localcloud.apprunner.signature import read_caller
from localcloud.apprunner.views import CallView

_log = logging.getLogger(__name__)
_ANSWERS = (FaultKind.THROTTLING, FaultKind.INTERNAL_ERROR)


@dataclass(frozen=True)
class _Call:
    """A request as far as it has been understood."""

    name: str
    target: Target | None = None
    caller: Caller | None = None
    service: str = ""


class Wire:
    """AWS's side of the emulator."""

    def __init__(self, cloud: Cloud, calls: CallLog, account: str, iam: Iam) -> None:
        self._cloud = cloud
        self._calls = calls
        self._account = account
        self._iam = iam
        self._apis = operations.load_apis()

    def blueprint(self) -> Blueprint:
        """The route, for Flask."""
        routes = Blueprint("aws", __name__)
        routes.add_url_rule("/", view_func=lambda: self.answer(request), methods=["POST"])
        return routes

    def answer(self, incoming: Request) -> Response:
        """Carry out a request."""
        call = _Call(name=incoming.headers.get("X-Amz-Target", ""))
        error: ApiError | None = None
        body: Block = {}
        try:
            target = operations.find(self._apis, call.name)
            call = replace(call, target=target)
            caller = read_caller(incoming.headers, signing_name=target.api.signing_name, account=self._account)
            call = replace(call, caller=caller)
            given = _read_json(incoming)
            call = replace(call, service=_service_name(given))
            self._iam.demand(_signed(incoming), self._checks(target, caller, given))
            self._raise_fault(target, call.service)
            body = self._carry_out(target, caller, given)
        except ApiError as refused:
            error = refused
        except Exception:
            # The top: whatever the mistake, a client gets what AWS answers for its own.
            _log.exception("%s", call.name)
            error = ApiError("An internal error of the emulator; see its log.", code=_api(call, "internal"), status=500)
        return self._write(call, body, error)

    def _checks(self, target: Target, caller: Caller, given: object) -> list[Check]:
        with self._cloud.store.lock:
            return checks(target, caller, given if isinstance(given, Mapping) else {}, self._cloud.store)

    def _carry_out(self, target: Target, caller: Caller, given: object) -> Block:
        wanted = parse(target.operation.input_shape, given)
        with self._cloud.store.lock:
            return serialise(target.operation.output_shape, target.function(self._cloud, caller, wanted))

    def _raise_fault(self, target: Target, service: str) -> None:
        match self._cloud.faults.take(_ANSWERS, target.operation.name, service):
            case FaultKind.THROTTLING:
                raise ApiError("Rate exceeded", code=target.api.throttled)
            case FaultKind.INTERNAL_ERROR:
                raise ApiError("An unexpected service exception occurred.", code=target.api.internal, status=500)

    def _write(self, call: _Call, body: Block, error: ApiError | None) -> Response:
        status, code = 200, None
        if error:
            code = _api(call, "invalid") if isinstance(error, InvalidRequest) else error.code
            status, body = error.status, {"__type": code, "Message": error.message}
        self._calls.add(
            CallView(
                at=self._cloud.clock.now(),
                target=call.name,
                access_key=call.caller.access_key if call.caller else None,
                region=call.caller.region if call.caller else None,
                service=call.service,
                status=status,
                error=code,
            )
        )
        content_type = call.target.api.content_type if call.target else "application/x-amz-json-1.0"
        return Response(json.dumps(body), status, {"x-amzn-RequestId": str(uuid.uuid4())}, content_type=content_type)


def _signed(incoming: Request) -> Signed:
    return Signed(incoming.method, incoming.path, incoming.headers.to_wsgi_list(), incoming.get_data())


def _read_json(incoming: Request) -> object:
    try:
        return json.loads(incoming.get_data() or b"{}")
    except RequestEntityTooLarge as error:
        raise ApiError("The body is too large.", code="RequestEntityTooLargeException", status=413) from error
    except ValueError as error:
        raise Malformed("The body is no JSON.") from error


def _service_name(given: object) -> str:
    """The name of the service that a request is about, straight from its body; empty when it names none."""
    if not isinstance(given, Mapping):
        return ""
    arn: Any = given.get("ServiceArn") or given.get("ResourceArn")
    if isinstance(arn, str) and ":service/" in arn:
        return arn.rpartition(":service/")[2].split("/")[0]
    name: Any = given.get("ServiceName")
    return name if isinstance(name, str) else ""


def _api(call: _Call, error: str) -> str:
    api: Api | None = call.target.api if call.target else None
    names = {"invalid": InvalidRequest.code, "internal": ApiError.code}
    return getattr(api, error) if api else names[error]
