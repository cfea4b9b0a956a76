"""The HTTP API's routes, one function each: check the input with a model, call one use case, answer.

The rule: a route decides nothing. Errors become answers in `problem_details`.
"""

from __future__ import annotations

import hashlib
import re
from datetime import timedelta
from functools import cache
from http import HTTPStatus
from typing import Annotated, Any, TypeVar, cast
from urllib.parse import parse_qs

from aws_lambda_powertools.event_handler import APIGatewayHttpResolver, Depends, Response
from aws_lambda_powertools.event_handler.openapi.params import Body, Header, Path, Query
from aws_lambda_powertools.event_handler.request import Request
from aws_lambda_powertools.event_handler.router import APIGatewayHttpRouter
from pydantic import BaseModel

from orchestrator.api.authentication import caller_of
from orchestrator.api.context import ApiContext
from orchestrator.api.problem_details import PROBLEMS
from orchestrator.api.schemas import (
    ENVIRONMENT_ID,
    IF_MATCH,
    ActiveStatus,
    AdjustIn,
    CreateIn,
    CursorText,
    EnvironmentOut,
    EventsOut,
    HealthOut,
    LabelFilter,
    PageOut,
    ReviveIn,
    SpecIn,
    SweepIn,
    SweepOut,
    Version,
)
from orchestrator.api.use_cases import ANY, Match
from orchestrator.domain.access import Caller
from orchestrator.domain.desired import UNSET, Adjustment, EnvironmentRequest, Unset
from orchestrator.domain.environment import Environment, Status
from orchestrator.domain.errors import BadRequest, ErrorCode

router = APIGatewayHttpRouter()

M = TypeVar("M", bound=BaseModel)

_HIGHEST_VERSION = 10**15
_RECORD_HEADERS = {
    "ETag": {
        "description": "the record's version",
        "required": True,
        "schema": {"type": "string", "pattern": '^"[0-9]+"$'},
    },
    "Location": {"description": "the record's path", "required": True, "schema": {"type": "string"}},
}


def _context(request: Request) -> ApiContext:
    found: ApiContext = request.context["api"]
    return found


def _caller(request: Request) -> Caller:
    event = request.resolved_event.raw_event
    return caller_of(event.get("requestContext") or {}, _context(request).settings.access)


def _labels(request: Request) -> dict[str, str]:
    """The label filters as they were sent: API Gateway joins a parameter's values with commas, and Powertools splits at each."""
    query = request.resolved_event.raw_event.get("rawQueryString", "")
    given = parse_qs(query, keep_blank_values=True).get("label", [])
    return dict(_label(text) for text in given)


Api = Annotated[ApiContext, Depends(_context)]
AsCaller = Annotated[Caller, Depends(_caller)]
IfMatch = Annotated[
    Version | None,
    Header(alias="if-match", description="a version as in ETag, or * for any; 412 when it differs or there is none"),
]
Labels = Annotated[dict[str, str], Depends(_labels)]
EnvironmentId = Annotated[str, Path(pattern=ENVIRONMENT_ID)]
SweepId = Annotated[str, Path(pattern=r"^[A-Za-z0-9-]{1,64}$")]
Cursor = Annotated[CursorText | None, Query(description="from the page before")]
Limit = Annotated[int, Query(ge=1, le=100)]
Wait = Annotated[int, Query(ge=0, le=20, description="seconds")]


def _answers(model: type[BaseModel], *statuses: int) -> Any:
    """The `responses` of a route that succeeds with one of these statuses."""
    headers = _RECORD_HEADERS if model is EnvironmentOut else {}
    content = {"application/json": {"model": model}}
    successes = {
        status: {"description": HTTPStatus(status).phrase, "content": content, "headers": headers}
        for status in statuses
    }
    return {**successes, **PROBLEMS}


@router.put("/environments/<environment_id>", responses=_answers(EnvironmentOut, 202, 200))
def put_environment(
    api: Api, caller: AsCaller, environment_id: EnvironmentId, spec: SpecIn, if_match: IfMatch = None
) -> Response[EnvironmentOut]:
    """Create the environment, or update it to this spec. 202 while there is work to do, 200 when there is none."""
    return _accepted(api.environments.put(caller, environment_id, _request(api, spec), if_match=_match(if_match)))


@router.post("/environments", responses=_answers(EnvironmentOut, 202))
def create_environment(
    api: Api,
    caller: AsCaller,
    spec: CreateIn,
    idempotency_key: Annotated[str | None, Header(alias="idempotency-key", max_length=256)] = None,
) -> Response[EnvironmentOut]:
    """Create the environment; 409 when it exists, unless its Idempotency-Key shows that the same request created it."""
    digest = idempotency_key and _digest(caller.identity, idempotency_key, spec.model_dump_json())
    return _accepted(api.environments.create(caller, spec.id, _request(api, spec), idempotency=digest))


@router.get("/environments", responses=_answers(PageOut, 200))
def list_environments(
    api: Api,
    caller: AsCaller,
    labels: Labels,
    status: Annotated[list[ActiveStatus] | None, Query()] = None,
    owner: Annotated[str | None, Query(max_length=2048)] = None,
    # For the contract; `labels` has the values.
    label: Annotated[list[LabelFilter] | None, Query(description="name=value; all given must match")] = None,
    destroyed: Annotated[bool, Query(description="tombstones instead of active environments")] = False,
    cursor: Cursor = None,
    limit: Limit = 50,
) -> Response[PageOut]:
    """The caller's environments or its group's, page by page; operators see all."""
    if Status.DESTROYED in (status or ()):
        raise BadRequest(
            "The status `destroyed` is not a filter: list tombstones with destroyed=true.", ErrorCode.BAD_REQUEST
        )
    page = api.environments.list(
        caller,
        statuses=(Status.DESTROYED,) if destroyed else tuple(status or ()),
        owner=owner,
        labels=labels,
        cursor=cursor,
        limit=limit,
    )
    environments = [EnvironmentOut.model_validate(found) for found in page.items]
    return _json(PageOut(environments=environments, cursor=page.cursor))


@router.get("/environments/<environment_id>", responses=_answers(EnvironmentOut, 200))
def get_environment(
    api: Api,
    caller: AsCaller,
    environment_id: EnvironmentId,
    wait: Wait = 0,
    version: Annotated[
        int | None, Query(ge=0, le=_HIGHEST_VERSION, description="answer once the version is no longer this")
    ] = None,
) -> Response[EnvironmentOut]:
    """One record; with `wait` and `version`, once it has changed."""
    return _environment(api.environments.get(caller, environment_id, unless_version=version, wait=wait))


@router.patch("/environments/<environment_id>", responses=_answers(EnvironmentOut, 200))
def adjust_environment(
    api: Api, caller: AsCaller, environment_id: EnvironmentId, change: AdjustIn, if_match: IfMatch = None
) -> Response[EnvironmentOut]:
    """Change TTL (from now), labels or protection; nothing is deployed."""
    adjusted = api.environments.adjust(
        caller,
        environment_id,
        Adjustment(ttl=_ttl(api, change.ttl), labels=change.labels, protected=change.protected),
        if_match=_match(if_match),
    )
    return _environment(adjusted)


@router.delete("/environments/<environment_id>", responses=_answers(EnvironmentOut, 202, 200))
def remove_environment(
    api: Api,
    caller: AsCaller,
    environment_id: EnvironmentId,
    if_match: IfMatch = None,
    force: Annotated[bool, Query()] = False,
) -> Response[EnvironmentOut]:
    """Destroy the environment: 202; 200 with the receipt once it is destroyed."""
    return _accepted(api.environments.remove(caller, environment_id, if_match=_match(if_match), force=force))


@router.post("/environments/<environment_id>/pause", responses=_answers(EnvironmentOut, 202, 200))
def pause_environment(
    api: Api, caller: AsCaller, environment_id: EnvironmentId, if_match: IfMatch = None
) -> Response[EnvironmentOut]:
    """Pause the service: it keeps its URL and costs no CPU. 200 when it already is paused. Its TTL goes on."""
    return _accepted(api.environments.pause(caller, environment_id, if_match=_match(if_match)))


@router.post("/environments/<environment_id>/resume", responses=_answers(EnvironmentOut, 202, 200))
def resume_environment(
    api: Api, caller: AsCaller, environment_id: EnvironmentId, if_match: IfMatch = None
) -> Response[EnvironmentOut]:
    """Let a paused service run again. 200 when it already does."""
    return _accepted(api.environments.resume(caller, environment_id, if_match=_match(if_match)))


@router.post("/environments/<environment_id>/revive", responses=_answers(EnvironmentOut, 202))
def revive_environment(
    api: Api,
    caller: AsCaller,
    environment_id: EnvironmentId,
    revival: Annotated[ReviveIn | None, Body()] = None,
) -> Response[EnvironmentOut]:
    """Bring a destroyed environment back as it was: spec, labels, protection, TTL. 409 when it is not destroyed."""
    return _accepted(api.environments.revive(caller, environment_id, ttl=_ttl(api, revival.ttl if revival else None)))


@router.get("/environments/<environment_id>/events", responses=_answers(EventsOut, 200))
def list_events(
    api: Api, caller: AsCaller, environment_id: EnvironmentId, cursor: Cursor = None, limit: Limit = 50, wait: Wait = 0
) -> Response[EventsOut]:
    """What happened, oldest first. To follow, ask again with the cursor; with `wait`, it answers once there is an event."""
    page = api.environments.events(caller, environment_id, cursor, limit, wait=wait)
    return _json(EventsOut(events=list(page.items), cursor=page.cursor))


@router.post("/sweeps", responses=_answers(SweepOut, 202))
def start_sweep(api: Api, caller: AsCaller, sweep: Annotated[SweepIn | None, Body()] = None) -> Response[SweepOut]:
    """Operators: sweep now. The plan or report will be under /sweeps/{id}."""
    wanted = sweep or SweepIn()
    return _json(SweepOut(api.sweeps.start(caller, wanted.kind, dry_run=wanted.dry_run)), 202)


@router.get("/sweeps/<sweep_id>", responses=_answers(SweepOut, 200))
def get_sweep(api: Api, caller: AsCaller, sweep_id: SweepId) -> Response[SweepOut]:
    """Operators: a sweep's plan or report."""
    return _json(SweepOut(api.sweeps.get(caller, sweep_id)))


@router.get("/health", responses=_answers(HealthOut, 200))
def health(api: Api) -> Response[HealthOut]:
    """Whether the API answers."""
    return _json(HealthOut(status="healthy", platform=api.settings.platform))


@router.get("/openapi.json", include_in_schema=False)
def openapi(api: Api) -> Response[str]:
    return Response(200, content_type="application/json", body=_openapi_document(api))


@cache
def _openapi_document(api: ApiContext) -> str:
    """The API's contract as JSON, built when it is first asked for."""
    from orchestrator.api.openapi import build_document

    return build_document(cast(APIGatewayHttpResolver, router.api_resolver), api.settings)


def _request(api: ApiContext, body: SpecIn) -> EnvironmentRequest:
    ttl = _ttl(api, body.ttl)
    return EnvironmentRequest(spec=body.spec(), ttl=ttl, labels=body.labels, protected=body.protected)


def _ttl(api: ApiContext, text: str | None) -> timedelta | None | Unset:
    return UNSET if text is None else api.settings.ttl(text)


def _match(if_match: str | None) -> Match | None:
    if if_match is None:
        return None
    if not re.fullmatch(IF_MATCH, if_match):
        raise BadRequest('If-Match takes a version as in ETag, such as "7", or *.', ErrorCode.BAD_IF_MATCH)
    return ANY if if_match == ANY else int(if_match.removeprefix("W/").strip('"'))


def _label(text: str) -> tuple[str, str]:
    name, equals, value = text.partition("=")
    if not (name and equals and value):
        raise BadRequest("A label filter is name=value.", ErrorCode.BAD_LABEL)
    return name, value


def _digest(*parts: str) -> str:
    return hashlib.sha256("\0".join(parts).encode()).hexdigest()


def _accepted(environment: Environment) -> Response[EnvironmentOut]:
    return _environment(environment, 202 if environment.outstanding else 200)


def _environment(environment: Environment, status: int = 200) -> Response[EnvironmentOut]:
    answer = _json(EnvironmentOut.model_validate(environment), status)
    answer.headers["ETag"] = f'"{environment.version}"'
    answer.headers["Location"] = f"/environments/{environment.id}"
    return answer


def _json(model: M, status: int = 200) -> Response[M]:
    return Response(status, content_type="application/json", body=model)
