"""The HTTP API: its routes, what they take and what they answer.

The rule: a route checks its input with a model, calls one use case and answers. What becomes of errors is in `problems`.
"""

from __future__ import annotations

import hashlib
from http import HTTPStatus
from typing import Annotated, Any, TypeVar

from aws_lambda_powertools import Logger
from aws_lambda_powertools.event_handler import APIGatewayHttpResolver, Response
from aws_lambda_powertools.event_handler.openapi.params import Body, Header, Path, Query
from pydantic import BaseModel

from orchestrator.desire import UNSET, Unset, Wish
from orchestrator.environment import Environment, Status
from orchestrator.errors import BadRequest
from orchestrator.identity import caller_of
from orchestrator.models import (
    ENVIRONMENT_ID,
    AdjustIn,
    CreateIn,
    EnvironmentOut,
    EventOut,
    EventsOut,
    HealthOut,
    PageOut,
    SpecIn,
    SweepIn,
    SweepOut,
)
from orchestrator.problems import PROBLEMS, handle_errors
from orchestrator.service import Caller, Environments, Sweeps
from orchestrator.settings import Settings

_DESCRIPTION = (
    "Ephemeral environments as a service in your own AWS account. Sign requests with AWS credentials (SigV4, service "
    "execute-api); unsigned ones are answered 403 by API Gateway itself. Pause and resume come in a later version."
)

EnvironmentId = Annotated[str, Path(pattern=ENVIRONMENT_ID)]
IfMatch = Annotated[str | None, Header(alias="if-match", description="A version as ETag gave it; 412 when it differs.")]
Cursor = Annotated[str | None, Query(max_length=4096)]
Limit = Annotated[int, Query(ge=1, le=100)]
M = TypeVar("M", bound=BaseModel)


def build(environments: Environments, sweeps: Sweeps, settings: Settings, logger: Logger) -> APIGatewayHttpResolver:
    """The resolver with all routes, answering from these use cases."""
    app = APIGatewayHttpResolver(enable_validation=True)

    def caller() -> Caller:
        return caller_of(app.current_event.raw_event.get("requestContext") or {}, settings.operators)

    def wish(body: SpecIn) -> Wish:
        return Wish(
            spec=_allowed(body, settings).spec(),
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
        accepted = environments.put(caller(), environment_id, wish(spec), if_match=_version(if_match))
        return _environment(accepted.environment, 202 if accepted.working else 200)

    @app.post("/environments", responses={**_ok(202, EnvironmentOut), **PROBLEMS})
    def create_environment(
        spec: CreateIn, idempotency_key: Annotated[str | None, Header(alias="idempotency-key", max_length=256)] = None
    ) -> Response[EnvironmentOut]:
        """Create the environment; 409 when it exists, unless the Idempotency-Key tells that this very request made it."""
        who = caller()
        digest = idempotency_key and _digest(who.owner, idempotency_key, spec.model_dump_json())
        accepted = environments.create(who, spec.id, wish(spec), idempotency=digest)
        return _environment(accepted.environment, 202 if accepted.working else 200)

    @app.get("/environments", responses={**_ok(200, PageOut), **PROBLEMS})
    def list_environments(
        status: Annotated[list[Status] | None, Query()] = None,
        owner: Annotated[str | None, Query(max_length=2048)] = None,
        label: Annotated[list[str] | None, Query(description="name=value; all given must match")] = None,
        destroyed: Annotated[bool, Query(description="tombstones instead of live environments")] = False,
        cursor: Cursor = None,
        limit: Limit = 50,
    ) -> Response[PageOut]:
        """The caller's environments, page by page; operators see everybody's."""
        if Status.DESTROYED in (status or ()):
            raise BadRequest("Tombstones are listed with destroyed=true.", "bad_request")
        page = environments.list(
            caller(),
            statuses=(Status.DESTROYED,) if destroyed else tuple(status or ()),
            owner=owner,
            labels=dict(_label(text) for text in label or ()),
            cursor=cursor,
            limit=limit,
        )
        return _json(PageOut(environments=[EnvironmentOut.of(found) for found in page.items], cursor=page.cursor))

    @app.get("/environments/<environment_id>", responses={**_ok(200, EnvironmentOut), **PROBLEMS})
    def get_environment(
        environment_id: EnvironmentId,
        wait: Annotated[int, Query(ge=0, le=20, description="seconds")] = 0,
        version: Annotated[int | None, Query(ge=0, description="answer once the version is no longer this")] = None,
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
        return _environment(accepted.environment, 200 if accepted.environment.gone else 202)

    @app.get("/environments/<environment_id>/events", responses={**_ok(200, EventsOut), **PROBLEMS})
    def list_events(environment_id: EnvironmentId, cursor: Cursor = None, limit: Limit = 50) -> Response[EventsOut]:
        """What happened, oldest first. Ask again with the cursor to follow."""
        page = environments.events(caller(), environment_id, cursor, limit)
        events = [EventOut.model_validate(event, from_attributes=True) for event in page.items]
        return _json(EventsOut(events=events, cursor=page.cursor))

    @app.post("/sweeps", responses={**_ok(202, SweepOut), **PROBLEMS})
    def start_sweep(sweep: Annotated[SweepIn | None, Body()] = None) -> Response[SweepOut]:
        """Operators: sweep now. The plan or report is under /sweeps/{id}."""
        return _json(SweepOut.model_validate(sweeps.start(caller(), dry_run=(sweep or SweepIn()).dry_run)), 202)

    @app.get("/sweeps/<sweep_id>", responses={**_ok(200, SweepOut), **PROBLEMS})
    def get_sweep(sweep_id: Annotated[str, Path(pattern=r"^[A-Za-z0-9-]{1,64}$")]) -> Response[SweepOut]:
        """Operators: a sweep's plan or report."""
        return _json(SweepOut.model_validate(sweeps.get(caller(), sweep_id)))

    @app.get("/health", responses=_ok(200, HealthOut))
    def health() -> Response[HealthOut]:
        """Whether the API answers."""
        return _json(HealthOut(status="healthy", platform=settings.platform))

    @app.get("/openapi.json", include_in_schema=False)
    def openapi() -> Response[str]:
        schema = app.get_openapi_json_schema(title="fibfactory", version="0.1.0", description=_DESCRIPTION)
        return Response(200, content_type="application/json", body=schema)

    handle_errors(app, logger)
    return app


def too_long(event: dict[str, Any], settings: Settings) -> bool:
    """Whether an HTTP event's body is longer than the platform takes; asked before anything parses it."""
    length = len((event.get("body") or "").encode())
    return length > settings.max_body_bytes * (4 / 3 if event.get("isBase64Encoded") else 1)


def _allowed(body: SpecIn, settings: Settings) -> SpecIn:
    for name, reference in body.secrets.items():
        if settings.secrets_prefix is None:
            raise BadRequest("This platform takes no references to secrets.", "no_secrets")
        if not reference.startswith(settings.secrets_prefix):
            raise BadRequest(f"{name} refers to a secret outside {settings.secrets_prefix}.", "secret_outside_prefix")
    return body


def _version(if_match: str | None) -> int | None:
    if if_match is None or if_match == "*":
        return None
    text = if_match.removeprefix("W/").strip('"')
    if not text.isdecimal() or len(text) > 15:
        raise BadRequest('If-Match takes a version as ETag gave it, such as "7".', "bad_if_match")
    return int(text)


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
    return {status: {"description": HTTPStatus(status).phrase, "content": {"application/json": {"model": model}}}}


def _environment(environment: Environment, status: int = 200) -> Response[EnvironmentOut]:
    answer = _json(EnvironmentOut.of(environment), status)
    answer.headers["ETag"] = f'"{environment.version}"'
    answer.headers["Location"] = f"/environments/{environment.id}"
    return answer


def _json(model: M, status: int = 200) -> Response[M]:
    return Response(status, content_type="application/json", body=model)
