"""The functions' settings: a typed model of the environment variables that the platform gives them, checked once.

The rule: what is malformed is refused when a function starts, for everybody, and not when the first caller meets it. What is
left out opens nothing.
"""

from __future__ import annotations

from collections.abc import Mapping
from datetime import timedelta
from functools import cached_property
from typing import Annotated, Self

from pydantic import BaseModel, ConfigDict, Field, model_validator
from pydantic_settings import BaseSettings, SettingsConfigDict

from orchestrator.api.authentication import Access, GitHub, Workflows, owner_of
from orchestrator.domain.desired import LifetimeLimits
from orchestrator.domain.policy import Policy
from orchestrator.domain.ttl import parse_ttl

_NAME = "[A-Za-z0-9_+=,.@-]+"
_ROLE_OR_USER = rf"arn:aws[a-z-]*:iam::[0-9]{{12}}:(?:role|user)/(?:{_NAME}/)*{_NAME}"
# Of an assumed role only a person's session: any other is named by whoever assumes the role, as he likes.
_ASSUMED = rf"arn:aws[a-z-]*:sts::[0-9]{{12}}:assumed-role/(?:{_NAME}|AWSReservedSSO_{_NAME}/{_NAME})"
Identity = Annotated[str, Field(pattern=f"^(?:{_ROLE_OR_USER}|{_ASSUMED}|github:repository:[0-9]+)$")]
GroupName = Annotated[str, Field(pattern=r"^[a-z][a-z0-9-]{0,38}[a-z0-9]$")]
Url = Annotated[str, Field(pattern=r"^https?://[A-Za-z0-9][A-Za-z0-9.-]*(?::[0-9]{1,5})?(?:/[A-Za-z0-9._~/-]*)?$")]
NumericId = Annotated[str, Field(pattern=r"^[0-9]+$")]
Registry = Annotated[str, Field(pattern=r"^[a-z0-9][a-z0-9.-]*(?::[0-9]{1,5})?(?:/[a-z0-9][a-z0-9._-]*)*/$")]
SecretsPrefix = Annotated[
    str,
    Field(
        pattern=r"^arn:aws[a-z-]*:(?:secretsmanager:[a-z0-9-]+:[0-9]{12}:secret:|ssm:[a-z0-9-]+:[0-9]{12}:parameter/)"
        r"[A-Za-z0-9/_+=.@-]*/$"
    ),
]


class GitHubCallers(BaseModel):
    """One entry of the list of workflows that are let in."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    repository_owner_id: NumericId
    repository_id: NumericId | None = None
    refs: Annotated[tuple[str, ...], Field(min_length=1)] | None = None
    job_workflow_refs: Annotated[tuple[str, ...], Field(min_length=1)] | None = None

    @property
    def workflows(self) -> Workflows:
        return Workflows(self.repository_owner_id, self.repository_id, self.refs, self.job_workflow_refs)


class Settings(BaseSettings):
    """`FIBFACTORY_…`; the worker has more of them than the API."""

    model_config = SettingsConfigDict(env_prefix="FIBFACTORY_", env_ignore_empty=True, frozen=True, extra="ignore")

    platform: str
    table: str
    worker_function: str

    operators: frozenset[Identity] = frozenset()
    """Who sees and does everything."""
    groups: Mapping[GroupName, frozenset[Identity]] = {}
    """Who owns together, by the groups' names."""
    session_owners: bool = False
    """People of IAM Identity Center own each for themselves, not as their permission set's role."""
    github: tuple[GitHubCallers, ...] = ()
    """The workflows that are let in by GitHub's tokens; none: nobody is."""
    github_issuer: Url = "https://token.actions.githubusercontent.com"

    image_registries: tuple[Registry, ...] = ()
    """What images must begin with; none: no image is taken."""
    secrets_prefix: SecretsPrefix | None = None
    """ARN prefix under which callers may refer to secrets; None: they may not."""
    environments_per_owner: int = Field(default=20, ge=1)
    default_ttl: str = "12h"
    max_lifetime: str = "7d"
    allow_never: bool = False
    max_body_bytes: int = Field(default=64 * 1024, gt=0)

    @model_validator(mode="after")
    def _one_group_each(self) -> Self:
        seen: dict[str, str] = {}
        for group, members in self.groups.items():
            for member in map(owner_of, members):
                if seen.setdefault(member, group) != group:
                    raise ValueError(f"groups {seen[member]} and {group} both have {member}: one can own for one only")
        return self

    @cached_property
    def access(self) -> Access:
        """Who is who, and who is let in."""
        return Access(
            operators=frozenset(map(owner_of, self.operators)),
            group_of={owner_of(member): name for name, members in self.groups.items() for member in members},
            session_owners=self.session_owners,
            github=GitHub(self.github_issuer, tuple(each.workflows for each in self.github)),
        )

    @cached_property
    def policy(self) -> Policy:
        """What may be run."""
        return Policy(self.image_registries, self.secrets_prefix, self.allow_never, self.environments_per_owner)

    @property
    def lifetimes(self) -> LifetimeLimits:
        return LifetimeLimits(
            default=self.ttl(self.default_ttl), longest=parse_ttl(self.max_lifetime, allow_never=True)
        )

    def ttl(self, text: str) -> timedelta | None:
        return parse_ttl(text, allow_never=self.allow_never)


class WorkerSettings(Settings):
    """What only the worker function is given."""

    backend_url: str
    secrets_provider: str
    prefix: str = "fib-app"
    access_role_arn: str | None = None
    instance_role_arn: str | None = None
    stop_before_seconds: float = Field(default=90.0, gt=0)
    """An operation is stopped in order so long before the function's hard limit."""
    lease_margin_seconds: float = Field(default=60.0, gt=0)
    """The lease ends so long after the function's hard limit."""
