"""AWS's JSON protocol: one POST to `/`, the operation in X-Amz-Target, errors as `{"__type": …, "Message": …}`.

Rules: every request gets an answer of AWS's form and one line in the call log, also when the emulator itself fails. A
request without a complete Authorization header of SigV4, or signed for another service, is refused with AWS's errors;
`iam` checks the signature itself, because it knows the secret keys.
"""

from __future__ import annotations

import json
import logging
import re
import uuid
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from flask import Blueprint, Request, Response, request
from werkzeug.exceptions import RequestEntityTooLarge

from localcloud.apprunner import operations
from localcloud.apprunner.cloud import Cloud
from localcloud.apprunner.errors import ApiError, Malformed, NotAuthenticated
from localcloud.apprunner.iam import Iam
from localcloud.apprunner.model import Block, Caller
from localcloud.apprunner.operations import Target
from localcloud.apprunner.permissions import required_permissions
from localcloud.apprunner.schema import parse, serialise
from localcloud.apprunner.settings import FaultKind
from localcloud.apprunner.views import CallView

_log = logging.getLogger(__name__)
_HEADER = re.compile(
    r"AWS4-HMAC-SHA256\s+"
    r"Credential=(?P<key>[^/,\s]+)/(?P<date>\d{8})/(?P<region>[a-z0-9-]+)/(?P<service>[a-z0-9-]+)/aws4_request,\s*"
    r"SignedHeaders=(?P<headers>[^,\s]+),\s*"
    r"Signature=(?P<signature>[0-9a-f]{64})"
)
_ANSWERED_FAULTS = (FaultKind.THROTTLING, FaultKind.INTERNAL_ERROR)


@dataclass
class _Call:
    """A request as far as it has been understood."""

    name: str
    target: Target | None = None
    caller: Caller | None = None
    service: str = ""


class Wire:
    """AWS's side of the emulator."""

    def __init__(self, cloud: Cloud, iam: Iam | None) -> None:
        self._cloud = cloud
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
        try:
            return self._respond(call, self._carry_out(call, incoming))
        except ApiError as error:
            return self._refuse(call, error)
        except Exception:
            # Whatever the mistake, the client gets what AWS answers for a mistake of its own.
            _log.exception("%s", call.name)
            return self._refuse(call, ApiError("An internal error of the emulator; see its log.", status=500))

    def _carry_out(self, call: _Call, incoming: Request) -> Block:
        target = call.target = operations.find(self._apis, call.name)
        caller = call.caller = read_caller(
            incoming.headers.get("Authorization"),
            incoming.headers.get("X-Amz-Date"),
            signing_name=target.api.signing_name,
        )
        body = _read_json(incoming)
        members: Block = body if isinstance(body, Mapping) else {}
        call.service = _service_name(members)
        store = self._cloud.store
        if self._iam:
            with store.lock:
                permissions = list(required_permissions(target, caller, members, store))
            self._iam.require(incoming, permissions)
        self._raise_fault(target, call.service)
        wanted = parse(target.operation.input_shape, body)
        with store.lock:
            return serialise(target.operation.output_shape, target.function(self._cloud, caller, wanted))

    def _raise_fault(self, target: Target, service: str) -> None:
        match self._cloud.faults.take(_ANSWERED_FAULTS, target.operation.name, service):
            case FaultKind.THROTTLING:
                raise ApiError("Rate exceeded", code="ThrottlingException")
            case FaultKind.INTERNAL_ERROR:
                raise ApiError("An unexpected service exception occurred.", status=500)

    def _refuse(self, call: _Call, error: ApiError) -> Response:
        code = call.target.api.error_names.get(error.code, error.code) if call.target else error.code
        return self._respond(call, {"__type": code, "Message": error.message}, error.status, code)

    def _respond(self, call: _Call, body: Block, status: int = 200, error: str | None = None) -> Response:
        self._cloud.calls.append(
            CallView(
                at=self._cloud.clock.now(),
                target=call.name,
                access_key=call.caller.access_key if call.caller else None,
                region=call.caller.region if call.caller else None,
                service=call.service,
                status=status,
                error=error,
            )
        )
        content_type = call.target.api.content_type if call.target else "application/x-amz-json-1.0"
        return Response(json.dumps(body), status, {"x-amzn-RequestId": str(uuid.uuid4())}, content_type=content_type)


def read_caller(authorization: str | None, date: str | None, *, signing_name: str) -> Caller:
    """The caller, from the headers Authorization and X-Amz-Date. Raises NotAuthenticated with AWS's code."""
    if not authorization:
        raise NotAuthenticated("Missing Authentication Token")
    found = _HEADER.fullmatch(authorization.strip())
    if not found or not date:
        raise NotAuthenticated(
            "Authorization header requires 'Credential', 'SignedHeaders' and 'Signature', and a date.",
            code="IncompleteSignatureException",
            status=400,
        )
    if found["service"] != signing_name:
        raise NotAuthenticated(
            f"Credential should be scoped to correct service: '{signing_name}'.", code="InvalidSignatureException"
        )
    return Caller(access_key=found["key"], region=found["region"])


def _read_json(incoming: Request) -> object:
    try:
        return json.loads(incoming.get_data() or b"{}")
    except RequestEntityTooLarge as error:
        raise ApiError("The body is too large.", code="RequestEntityTooLargeException", status=413) from error
    except ValueError as error:
        raise Malformed("The body is not JSON.") from error


def _service_name(members: Block) -> str:
    """The name of the service that an unchecked request is about; empty when it names none."""
    arn: Any = members.get("ServiceArn") or members.get("ResourceArn")
    if isinstance(arn, str) and ":service/" in arn:
        return arn.rpartition(":service/")[2].split("/")[0]
    name: Any = members.get("ServiceName")
    return name if isinstance(name, str) else ""
