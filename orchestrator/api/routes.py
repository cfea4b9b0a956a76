"""The HTTP API: its routes, what they take and what they answer.

The rule: a route checks its input with a model, calls one use case and answers. What becomes of errors is in `problems`.
"""

from __future__ import annotations

import hashlib
import re
from http import HTTPStatus
from typing import Annotated, Any, TypeVar
from urllib.parse import parse_qs

from aws_lambda_powertools import Logger
from aws_lambda_powertools.event_handler import APIGatewayHttpResolver, Response
from aws_lambda_powertools.event_handler.openapi.params import Body, Header, Path, Query
from pydantic import BaseModel

from orchestrator.api.authentication import caller_of
from orchestrator.api.openapi import contract
from orchestrator.api.problem_details import PROBLEMS, handle_errors
from orchestrator.api.schemas import (
    ENVIRONMENT_ID,
    IF_MATCH,
    AdjustIn,
    CreateIn,
    CursorText,
    EnvironmentOut,
    EventOut,
    EventsOut,
    HealthOut,
    LabelFilter,
    LiveStatus,
    PageOut,
    ReviveIn,
    SpecIn,
    SweepIn,
    SweepOut,
    Version,
)
from orchestrator.api.use_cases import ANY, Caller, EnvironmentService, Match, SweepService
from orchestrator.domain.desired import UNSET, EnvironmentRequest, Unset
from orchestrator.domain.environment import Environment, Status
from orchestrator.domain.errors import BadRequest
from orchestrator.settings import Settings

EnvironmentId = Annotated[str, Path(pattern=ENVIRONMENT_ID)]
IfMatch = Annotated[
    Version | None,
    Header(
        alias="if-match", description="A version as ETag gave it, or * for any; 412 when it differs or there is none."
    ),
]
Cursor = Annotated[CursorText | None, Query(description="from the page before")]
Limit = Annotated[int, Query(ge=1, le=100)]
M = TypeVar("M", bound=BaseModel)

_LATEST = 10**15
_RECORD_HEADERS = {
    "ETag": {
        "description": "the record's version",
        "required": True,
        "schema": {"type": "string", "pattern": '^"[0-9]+"$'},
    },
    "Location": {"description": "the record's path", "required": True, "schema": {"type": "string"}},
}


def build(
    environments: EnvironmentService, sweeps: SweepService, settings: Settings, logger: Logger
) -> APIGatewayHttpResolver:
    """The resolver with all routes, answering from these use cases."""
    # `debug` stays off whatever the environment says: it prints requests and answers with tracebacks.
    app = APIGatewayHttpResolver(enable_validation=True, debug=False)

    def caller() -> Caller:
        return caller_of(app.current_event.raw_event.get("requestContext") or {}, settings.access)

    def _as_given(name: str, values: list[str] | None) -> list[str]:
        """A parameter's values as they were sent: API Gateway joins them with commas, and Powertools splits at each."""
        return parse_qs(app.current_event.raw_event.get("rawQueryString", "")).get(name) or values or []

    def request(body: SpecIn) -> EnvironmentRequest:
        return EnvironmentRequest(
            spec=body.spec(),
            ttl=UNSET if body.ttl is None else settings.ttl(body.ttl),
            labels=_given(body.labels),
            protected=_given(body.protected),
        )

    @app.put(
        "/environments/<environment_id>",
        responses={**_ok(202, EnvironmentOut), **_ok(200, EnvironmentOut), **PROBLEMS},
    )
    def put_environment(
        environment_id: EnvironmentId, spec: SpecIn, if_match: IfMatch = None
    ) -> Response[EnvironmentOut]:
        """Create the environment, or update it to this spec. 202 while there is work to do, 200 when it already is so."""
        accepted = environments.put(caller(), environment_id, request(spec), if_match=_version(if_match))
        return _environment(accepted.environment, 202 if accepted.working else 200)

    @app.post("/environments", responses={**_ok(202, EnvironmentOut), **PROBLEMS})
    def create_environment(
        spec: CreateIn, idempotency_key: Annotated[str | None, Header(alias="idempotency-key", max_length=256)] = None
    ) -> Response[EnvironmentOut]:
        """Create the environment; 409 when it exists, unless the Idempotency-Key tells that this very request made it."""
        who = caller()
        digest = idempotency_key and _digest(who.identity, idempotency_key, spec.model_dump_json())
        accepted = environments.create(who, spec.id, request(spec), idempotency=digest)
        return _environment(accepted.environment, 202 if accepted.working else 200)

    @app.get("/environments", responses={**_ok(200, PageOut), **PROBLEMS})
    def list_environments(
        status: Annotated[list[LiveStatus] | None, Query()] = None,
        owner: Annotated[str | None, Query(max_length=2048)] = None,
        label: Annotated[list[LabelFilter] | None, Query(description="name=value; all given must match")] = None,
        destroyed: Annotated[bool, Query(description="tombstones instead of live environments")] = False,
        cursor: Cursor = None,
        limit: Limit = 50,
    ) -> Response[PageOut]:
        """The caller's environments or its group's, page by page; operators see everybody's."""
        if Status.DESTROYED in (status or ()):
            raise BadRequest("Tombstones are listed with destroyed=true.", "bad_request")
        page = environments.list(
            caller(),
            statuses=(Status.DESTROYED,) if destroyed else tuple(status or ()),
            owner=owner,
            labels=dict(_label(text) for text in _as_given("label", label)),
            cursor=cursor,
            limit=limit,
        )
        return _json(PageOut(environments=[EnvironmentOut.of(found) for found in page.items], cursor=page.cursor))

    @app.get("/environments/<environment_id>", responses={**_ok(200, EnvironmentOut), **PROBLEMS})
    def get_environment(
        environment_id: EnvironmentId,
        wait: Annotated[int, Query(ge=0, le=20, description="seconds")] = 0,
        version: Annotated[
            int | None, Query(ge=0, le=_LATEST, description="answer once the version is no longer this")
        ] = None,
    ) -> Response[EnvironmentOut]:
        """One record; with `wait` and `version`, once it has changed."""
        return _environment(environments.get(caller(), environment_id, unless_version=version, wait=wait))

    @app.patch("/environments/<environment_id>", responses={**_ok(200, EnvironmentOut), **PROBLEMS})
    def adjust_environment(
        environment_id: EnvironmentId, change: AdjustIn, if_match: IfMatch = None
    ) -> Response[EnvironmentOut]:
        """Another TTL (from now), labels or protection; nothing is deployed."""
        adjusted = environments.adjust(
            caller(),
            environment_id,
            if_match=_version(if_match),
            ttl=UNSET if change.ttl is None else settings.ttl(change.ttl),
            labels=_given(change.labels),
            protected=_given(change.protected),
        )
        return _environment(adjusted)

    @app.delete(
        "/environments/<environment_id>",
        responses={**_ok(202, EnvironmentOut), **_ok(200, EnvironmentOut), **PROBLEMS},
    )
    def remove_environment(
        environment_id: EnvironmentId, force: Annotated[bool, Query()] = False, if_match: IfMatch = None
    ) -> Response[EnvironmentOut]:
        """Destroy the environment: 202; 200 with the receipt once it is gone."""
        accepted = environments.remove(caller(), environment_id, if_match=_version(if_match), force=force)
        return _environment(accepted.environment, 200 if accepted.environment.destroyed else 202)

    @app.post(
        "/environments/<environment_id>/pause",
        responses={**_ok(202, EnvironmentOut), **_ok(200, EnvironmentOut), **PROBLEMS},
    )
    def pause_environment(environment_id: EnvironmentId, if_match: IfMatch = None) -> Response[EnvironmentOut]:
        """Pause the service: it keeps its URL, and nothing is paid for CPU. 200 when it already is paused. Its TTL runs on."""
        accepted = environments.pause(caller(), environment_id, if_match=_version(if_match))
        return _environment(accepted.environment, 202 if accepted.working else 200)

    @app.post(
        "/environments/<environment_id>/resume",
        responses={**_ok(202, EnvironmentOut), **_ok(200, EnvironmentOut), **PROBLEMS},
    )
    def resume_environment(environment_id: EnvironmentId, if_match: IfMatch = None) -> Response[EnvironmentOut]:
        """Let a paused service run again. 200 when it already does."""
        accepted = environments.resume(caller(), environment_id, if_match=_version(if_match))
        return _environment(accepted.environment, 202 if accepted.working else 200)

    @app.post("/environments/<environment_id>/revive", responses={**_ok(202, EnvironmentOut), **PROBLEMS})
    def revive_environment(
        environment_id: EnvironmentId, revival: Annotated[ReviveIn | None, Body()] = None
    ) -> Response[EnvironmentOut]:
        """Bring a destroyed environment back as it was: spec, labels, protection, TTL. 409 when it is not destroyed."""
        ttl = revival.ttl if revival else None
        accepted = environments.revive(caller(), environment_id, ttl=UNSET if ttl is None else settings.ttl(ttl))
        return _environment(accepted.environment, 202)

    @app.get("/environments/<environment_id>/events", responses={**_ok(200, EventsOut), **PROBLEMS})
    def list_events(environment_id: EnvironmentId, cursor: Cursor = None, limit: Limit = 50) -> Response[EventsOut]:
        """What happened, oldest first. Ask again with the cursor to follow."""
        page = environments.events(caller(), environment_id, cursor, limit)
        events = [EventOut.model_validate(event, from_attributes=True) for event in page.items]
        return _json(EventsOut(events=events, cursor=page.cursor))

    @app.post("/sweeps", responses={**_ok(202, SweepOut), **PROBLEMS})
    def start_sweep(sweep: Annotated[SweepIn | None, Body()] = None) -> Response[SweepOut]:
        """Operators: sweep now. The plan or report is under /sweeps/{id}."""
        wanted = sweep or SweepIn()
        started = sweeps.start(caller(), kind=wanted.kind, dry_run=wanted.dry_run)
        return _json(SweepOut.model_validate(started), 202)

    @app.get("/sweeps/<sweep_id>", responses={**_ok(200, SweepOut), **PROBLEMS})
    def get_sweep(sweep_id: Annotated[str, Path(pattern=r"^[A-Za-z0-9-]{1,64}$")]) -> Response[SweepOut]:
        """Operators: a sweep's plan or report."""
        return _json(SweepOut.model_validate(sweeps.get(caller(), sweep_id)))

    @app.get("/health", responses={**_ok(200, HealthOut), **PROBLEMS})
    def health() -> Response[HealthOut]:
        """Whether the API answers."""
        return _json(HealthOut(status="healthy", platform=settings.platform))

    @app.get("/openapi.json", include_in_schema=False)
    def openapi() -> Response[str]:
        return Response(200, content_type="application/json", body=contract(app, settings))

    handle_errors(app, logger)
    return app


def _version(if_match: str | None) -> Match | None:
    if if_match is None:
        return None
    if not re.fullmatch(IF_MATCH, if_match):
        raise BadRequest('If-Match takes a version as ETag gave it, such as "7", or *.', "bad_if_match")
    return ANY if if_match == ANY else int(if_match.removeprefix("W/").strip('"'))


def _label(text: str) -> tuple[str, str]:
    name, equals, value = text.partition("=")
    if not (name and equals and value):
        raise BadRequest("A label filter is name=value.", "bad_label")
    return name, value


def _given(value: Any) -> Any | Unset:
    return UNSET if value is None else value


def _digest(*parts: str) -> str:
    return hashlib.sha256("\0".join(parts).encode()).hexdigest()


def _ok(status: int, model: type[BaseModel]) -> Any:
    content = {"application/json": {"model": model}}
    headers = _RECORD_HEADERS if model is EnvironmentOut else {}
    return {status: {"description": HTTPStatus(status).phrase, "content": content, "headers": headers}}


def _environment(environment: Environment, status: int = 200) -> Response[EnvironmentOut]:
    answer = _json(EnvironmentOut.of(environment), status)
    answer.headers["ETag"] = f'"{environment.version}"'
    answer.headers["Location"] = f"/environments/{environment.id}"
    return answer


def _json(model: M, status: int = 200) -> Response[M]:
    return Response(status, content_type="application/json", body=model)
