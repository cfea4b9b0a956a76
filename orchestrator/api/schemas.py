"""The shapes of requests and answers, as pydantic models: what OpenAPI shows and what is checked at the edge."""

from __future__ import annotations

from datetime import datetime
from typing import Annotated, Any, Literal, Self

from pydantic import BaseModel, BeforeValidator, ConfigDict, Field, StringConstraints, WithJsonSchema, model_validator

from orchestrator.domain.environment import Environment, Spec, Status
from orchestrator.domain.names import IMAGE, IMAGE_HELP
from orchestrator.domain.ttl import format_ttl

ENVIRONMENT_ID = r"^[a-z][a-z0-9-]{1,22}[a-z0-9]$"
IF_MATCH = r"^(?:\*|(?:W/)?(?:[0-9]{1,15}|\"[0-9]{1,15}\"))$"
_OF_APP_RUNNER = r"AWSAPPRUNNER|PORT$"

_MEMORY_OF_CPU = {
    256: (512, 1024),
    512: (1024,),
    1024: (2048, 3072, 4096),
    2048: (4096, 6144),
    4096: (8192, 10240, 12288),
}
"""App Runner's combinations of CPU units and MB (its developer guide, "Service configuration")."""

_VARIABLE = r"[A-Za-z_][A-Za-z0-9_]{0,127}"
_CPU, _MEMORY = 1024, 2048
VariableName = Annotated[
    str,
    StringConstraints(pattern=f"^{_VARIABLE}$"),
    # Pydantic's own patterns can't say what a name is not.
    WithJsonSchema({"type": "string", "pattern": f"^(?!{_OF_APP_RUNNER}){_VARIABLE}$"}),
]
_MAP: Any = Field(max_length=50, json_schema_extra={"additionalProperties": False})
# To JSON 8080.0 is 8080.
_WHOLE = BeforeValidator(lambda sent: int(sent) if isinstance(sent, float) and sent.is_integer() else sent)
LabelText = Annotated[str, StringConstraints(min_length=1, max_length=63)]

# What only `api` can check, as OpenAPI shows it.
Version = Annotated[str, WithJsonSchema({"type": "string", "pattern": IF_MATCH})]
LabelFilter = Annotated[str, WithJsonSchema({"type": "string", "pattern": r"^[^=]+=[\s\S]+$"})]
LiveStatus = Annotated[
    Status, WithJsonSchema({"type": "string", "enum": [each for each in Status if each is not Status.DESTROYED]})
]
CursorText = Annotated[
    str,
    StringConstraints(pattern=r"^[A-Za-z0-9_-]{1,4096}$"),
    WithJsonSchema({"type": "string", "format": "cursor"}),
]


class _Model(BaseModel):
    # Strict: a number in quotation marks is a mistake, not a number.
    model_config = ConfigDict(extra="forbid", frozen=True, strict=True)


def _size(cpu: int, memory: tuple[int, ...]) -> dict[str, Any]:
    """One of App Runner's sizes in JSON Schema, where what has its default may be left out."""
    required = [*(["cpu"] if cpu != _CPU else []), *(["memory"] if _MEMORY not in memory else [])]
    return {"properties": {"cpu": {"const": cpu}, "memory": {"enum": list(memory)}}, "required": required}


class SpecIn(_Model):
    """What to run. `ttl`, `labels` and `protected` keep their value in an update that leaves them out."""

    model_config = ConfigDict(
        json_schema_extra={"anyOf": [_size(cpu, memory) for cpu, memory in _MEMORY_OF_CPU.items()]}
    )

    image: Annotated[
        str,
        Field(
            max_length=1024,
            examples=["public.ecr.aws/fibfactory/fibservice:latest"],
            json_schema_extra={"pattern": f"^{IMAGE.pattern}$"},
        ),
    ]
    port: Annotated[int, Field(ge=1, le=65535), _WHOLE] = 8080
    cpu: Annotated[int, _WHOLE] = _CPU
    memory: Annotated[int, _WHOLE] = _MEMORY
    variables: Annotated[dict[VariableName, Annotated[str, Field(max_length=4096)]], _MAP] = {}
    secrets: Annotated[dict[VariableName, Annotated[str, Field(max_length=2048)]], _MAP] = {}
    health_path: Annotated[str, Field(pattern=r"^/[!-~]{0,255}$")] = "/health"
    revision: Annotated[str | None, Field(max_length=128)] = None
    ttl: Annotated[str | None, Field(max_length=32, examples=["12h", "7d12h"])] = None
    labels: Annotated[dict[LabelText, LabelText] | None, Field(max_length=20)] = None
    protected: bool | None = None

    @model_validator(mode="after")
    def _possible(self) -> Self:
        if not IMAGE.fullmatch(self.image):
            raise ValueError(IMAGE_HELP)
        if self.memory not in _MEMORY_OF_CPU.get(self.cpu, ()):
            sizes = "; ".join(f"{cpu} with {' or '.join(map(str, memory))}" for cpu, memory in _MEMORY_OF_CPU.items())
            raise ValueError(f"cpu and memory must be one of App Runner's sizes: {sizes}")
        reserved = [
            name for name in (*self.variables, *self.secrets) if name.startswith("AWSAPPRUNNER") or name == "PORT"
        ]
        if reserved:
            raise ValueError(f"{reserved[0]} is App Runner's own variable: leave it out")
        return self

    def spec(self) -> Spec:
        return Spec(
            image=self.image,
            port=self.port,
            cpu=self.cpu,
            memory=self.memory,
            variables=self.variables,
            secrets=self.secrets,
            health_path=self.health_path,
            revision=self.revision,
        )


class CreateIn(SpecIn):
    """A spec with the id of the environment to create."""

    id: Annotated[str, Field(pattern=ENVIRONMENT_ID)]


class AdjustIn(_Model):
    """What can change without a redeploy; what is left out stays."""

    ttl: Annotated[str | None, Field(max_length=32)] = None
    labels: Annotated[dict[LabelText, LabelText] | None, Field(max_length=20)] = None
    protected: bool | None = None


class ReviveIn(_Model):
    """How long the revived environment lives; left out, as long as the last one would have."""

    ttl: Annotated[str | None, Field(max_length=32, examples=["12h"])] = None


class SweepIn(_Model):
    """A light sweep looks for what is due, a deep one also compares the cloud with the records.

    A dry run only leaves a plan; it is the default.
    """

    kind: Literal["light", "deep"] = "deep"
    dry_run: bool = True


class ErrorOut(BaseModel):
    operation: str
    code: str
    message: str
    final: bool
    at: datetime


class ReceiptOut(BaseModel):
    at: datetime
    checked: list[str]
    cannot_see: list[str]
    reason: str
    image: str
    digest: str | None


class SpecOut(BaseModel):
    image: str
    port: int
    cpu: int
    memory: int
    variables: dict[str, str]
    secrets: dict[str, str]
    health_path: str
    revision: str | None


class EnvironmentOut(BaseModel):
    """An environment's record, as callers see it."""

    id: str
    status: Status
    url: str | None
    owner: str
    spec: SpecOut
    ttl: str
    expires_at: datetime | None
    protected: bool
    labels: dict[str, str]
    generation: int
    observed_generation: int
    version: int
    incarnation: int
    attempts: int
    retry_at: datetime | None
    created_at: datetime
    updated_at: datetime
    reason: str
    error: ErrorOut | None
    receipt: ReceiptOut | None
    record_schema: Annotated[int, Field(serialization_alias="schema")]

    @classmethod
    def of(cls, environment: Environment) -> EnvironmentOut:
        failure, receipt, spec = environment.failure, environment.receipt, environment.spec
        return cls(
            id=environment.id,
            status=environment.status,
            url=environment.observed.url,
            owner=environment.owner,
            spec=SpecOut.model_validate(spec, from_attributes=True),
            ttl=format_ttl(environment.ttl),
            expires_at=environment.expires_at,
            protected=environment.protected,
            labels=dict(environment.labels),
            generation=environment.generation,
            observed_generation=environment.observed.generation,
            version=environment.version,
            incarnation=environment.incarnation,
            attempts=environment.attempts,
            retry_at=environment.retry_at,
            created_at=environment.created_at,
            updated_at=environment.updated_at,
            reason=environment.reason,
            error=ErrorOut.model_validate(failure, from_attributes=True) if failure else None,
            receipt=ReceiptOut.model_validate(receipt, from_attributes=True) if receipt else None,
            record_schema=environment.schema,
        )


class PageOut(BaseModel):
    environments: list[EnvironmentOut]
    cursor: str | None


class EventOut(BaseModel):
    at: datetime
    kind: str
    message: str
    data: dict[str, Any]


class EventsOut(BaseModel):
    events: list[EventOut]
    cursor: str | None


class SweepOut(BaseModel):
    """A sweep's request, plan or report."""

    model_config = ConfigDict(extra="allow")

    id: str
    kind: str | None = None
    status: str
    dry_run: bool


class HealthOut(BaseModel):
    status: str
    platform: str


class GatewayOut(BaseModel):
    """What API Gateway itself answers, before or instead of the API."""

    message: str


class Problem(BaseModel):
    """RFC 9457 `application/problem+json`; `code` is stable."""

    type: str = "about:blank"
    title: str
    status: int
    detail: str
    code: str
    errors: list[dict[str, str]] | None = None
