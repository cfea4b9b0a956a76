"""The shapes of requests and answers, as pydantic models: what OpenAPI shows and what is checked at the edge.

Answers take the domain's dataclasses as they are; requests check what callers send.
"""

from __future__ import annotations

from dataclasses import fields
from datetime import datetime
from typing import Annotated, Any, Self

from pydantic import (
    AliasPath,
    BaseModel,
    BeforeValidator,
    ConfigDict,
    Field,
    RootModel,
    StringConstraints,
    WithJsonSchema,
    model_validator,
)

from orchestrator.domain.environment import Failure, Receipt, Spec, Status
from orchestrator.domain.errors import ErrorCode
from orchestrator.domain.events import Event
from orchestrator.domain.names import IMAGE, IMAGE_HELP
from orchestrator.domain.sweeps import SweepKind, SweepReport
from orchestrator.domain.ttl import format_ttl

ENVIRONMENT_ID = r"^[a-z][a-z0-9-]{1,22}[a-z0-9]$"
IF_MATCH = r"^(?:\*|(?:W/)?(?:[0-9]{1,15}|\"[0-9]{1,15}\"))$"
_RESERVED_BY_APP_RUNNER = r"AWSAPPRUNNER|PORT$"

_MEMORY_OF_CPU = {
    256: (512, 1024),
    512: (1024,),
    1024: (2048, 3072, 4096),
    2048: (4096, 6144),
    4096: (8192, 10240, 12288),
}
"""App Runner's combinations of CPU units and MB (its developer guide, "Service configuration")."""

_VARIABLE = r"[A-Za-z_][A-Za-z0-9_]{0,127}"
VariableName = Annotated[
    str,
    StringConstraints(pattern=f"^{_VARIABLE}$"),
    # Pydantic's patterns have no negative look-ahead.
    WithJsonSchema({"type": "string", "pattern": f"^(?!{_RESERVED_BY_APP_RUNNER}){_VARIABLE}$"}),
]
_MAP: Any = Field(max_length=50, json_schema_extra={"additionalProperties": False})
# JSON has one type of number: 8080.0 is 8080.
_WHOLE = BeforeValidator(lambda sent: int(sent) if isinstance(sent, float) and sent.is_integer() else sent)
Ttl = Annotated[str | None, Field(max_length=32, examples=["12h", "7d12h"])]
LabelText = Annotated[str, StringConstraints(min_length=1, max_length=63)]

# Formats that the routes check, as OpenAPI shows them.
Version = Annotated[str, WithJsonSchema({"type": "string", "pattern": IF_MATCH})]
LabelFilter = Annotated[str, WithJsonSchema({"type": "string", "pattern": r"^[^=]+=[\s\S]+$"})]
ActiveStatus = Annotated[
    Status, WithJsonSchema({"type": "string", "enum": [each for each in Status if each is not Status.DESTROYED]})
]
CursorText = Annotated[
    str,
    StringConstraints(pattern=r"^[A-Za-z0-9_-]{1,4096}$"),
    WithJsonSchema({"type": "string", "format": "cursor"}),
]


class _Request(BaseModel):
    # Strict: a number in quotation marks is refused.
    model_config = ConfigDict(extra="forbid", frozen=True, strict=True)


class ReviveIn(_Request):
    """The TTL of the revived environment; left out, that of the destroyed one."""

    ttl: Ttl = None


class AdjustIn(_Request):
    """What can change without a redeploy; a field that is left out keeps its value."""

    ttl: Ttl = None
    labels: Annotated[dict[LabelText, LabelText] | None, Field(max_length=20)] = None
    protected: bool | None = None


def _size(cpu: int, memory: tuple[int, ...]) -> dict[str, Any]:
    """One of App Runner's sizes in JSON Schema; a field that has its default may be left out."""
    required = [*(["cpu"] if cpu != Spec.cpu else []), *(["memory"] if Spec.memory not in memory else [])]
    return {"properties": {"cpu": {"const": cpu}, "memory": {"enum": list(memory)}}, "required": required}


class SpecIn(AdjustIn):
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
    port: Annotated[int, Field(ge=1, le=65535), _WHOLE] = Spec.port
    cpu: Annotated[int, _WHOLE] = Spec.cpu
    memory: Annotated[int, _WHOLE] = Spec.memory
    variables: Annotated[dict[VariableName, Annotated[str, Field(max_length=4096)]], _MAP] = {}
    secrets: Annotated[dict[VariableName, Annotated[str, Field(max_length=2048)]], _MAP] = {}
    health_path: Annotated[str, Field(pattern=r"^/[!-~]{0,255}$")] = Spec.health_path
    revision: Annotated[str | None, Field(max_length=128)] = None

    @model_validator(mode="after")
    def _check_combinations(self) -> Self:
        if not IMAGE.fullmatch(self.image):
            raise ValueError(IMAGE_HELP)
        if self.memory not in _MEMORY_OF_CPU.get(self.cpu, ()):
            sizes = "; ".join(f"{cpu} with {' or '.join(map(str, memory))}" for cpu, memory in _MEMORY_OF_CPU.items())
            raise ValueError(f"cpu and memory must be one of App Runner's sizes: {sizes}")
        reserved = [
            name for name in (*self.variables, *self.secrets) if name.startswith("AWSAPPRUNNER") or name == "PORT"
        ]
        if reserved:
            raise ValueError(f"{reserved[0]} is set by App Runner itself: leave it out")
        return self

    def spec(self) -> Spec:
        """The part of the request that is deployed."""
        return Spec(**{each.name: getattr(self, each.name) for each in fields(Spec)})


class CreateIn(SpecIn):
    """A spec with the id of the environment to create."""

    id: Annotated[str, Field(pattern=ENVIRONMENT_ID)]


class SweepIn(_Request):
    """A light sweep looks for what is due; a deep one also compares the cloud with the records.

    A dry run, the default, only writes a plan.
    """

    # Not strict: JSON has no enumerations.
    kind: Annotated[SweepKind, Field(strict=False)] = SweepKind.DEEP
    dry_run: bool = True


class _Answer(BaseModel):
    """Made from the domain's objects, whose dataclasses are part of it; every field is always there."""

    model_config = ConfigDict(from_attributes=True, json_schema_serialization_defaults_required=True)


class EnvironmentOut(_Answer):
    """An environment's record, as callers see it."""

    id: str
    status: Status
    url: Annotated[str | None, Field(validation_alias=AliasPath("observed", "url"))]
    owner: str
    spec: Spec
    ttl: Annotated[str, BeforeValidator(format_ttl)]
    expires_at: datetime | None
    protected: bool
    labels: dict[str, str]
    generation: int
    observed_generation: Annotated[int, Field(validation_alias=AliasPath("observed", "generation"))]
    version: int
    incarnation: int
    attempts: int
    retry_at: datetime | None
    created_at: datetime
    updated_at: datetime
    reason: str
    error: Annotated[Failure | None, Field(validation_alias="failure")]
    receipt: Receipt | None
    record_schema: Annotated[int, Field(alias="schema")]


class PageOut(_Answer):
    environments: list[EnvironmentOut]
    cursor: str | None


class EventsOut(_Answer):
    events: list[Event]
    cursor: str | None


class SweepOut(RootModel[SweepReport]):
    """A sweep's request, its plan or its report."""

    model_config = ConfigDict(json_schema_serialization_defaults_required=True)


class HealthOut(_Answer):
    status: str
    platform: str


class GatewayOut(BaseModel):
    """What API Gateway itself answers when it does not reach the API."""

    message: str


class Problem(BaseModel):
    """RFC 9457 `application/problem+json`; `code` is stable."""

    type: str = "about:blank"
    title: str
    status: int
    detail: str
    code: ErrorCode
    errors: list[dict[str, str]] | None = None
