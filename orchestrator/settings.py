"""The functions' settings: a typed model of their environment variables, checked once at their start.

The rule: a malformed setting stops the function at its start, rather than at the first request that needs it. A setting that is
left out allows nothing.
"""

from __future__ import annotations

from collections.abc import Mapping
from datetime import timedelta
from functools import cached_property
from typing import Annotated, Self

from pydantic import AfterValidator, ConfigDict, Field, model_validator
from pydantic.dataclasses import dataclass
from pydantic_settings import BaseSettings, SettingsConfigDict

from orchestrator.domain import access
from orchestrator.domain.access import Access, GitHub, WorkflowRule, groups_by_member, owner_of
from orchestrator.domain.desired import LifetimeLimits
from orchestrator.domain.policy import REGISTRY, SECRETS_PREFIX, Policy
from orchestrator.domain.ttl import parse_ttl

Identity = Annotated[str, AfterValidator(access.check_identity)]
GroupName = Annotated[str, AfterValidator(access.GROUP_NAME.check)]
IssuerUrl = Annotated[str, AfterValidator(access.ISSUER_URL.check)]
Registry = Annotated[str, AfterValidator(REGISTRY.check)]
SecretsPrefix = Annotated[str, AfterValidator(SECRETS_PREFIX.check)]


@dataclass(frozen=True, config=ConfigDict(extra="forbid"))
class GitHubCallers(WorkflowRule):
    """An entry of the setting `github`."""

    def __post_init__(self) -> None:
        self.check()


class Settings(BaseSettings):
    """`FIBFACTORY_…`, for both functions; the worker has further ones."""

    model_config = SettingsConfigDict(env_prefix="FIBFACTORY_", env_ignore_empty=True, frozen=True, extra="ignore")

    platform: str
    table: str
    worker_function: str

    operators: frozenset[Identity] = frozenset()
    """Who may see and change everything."""
    groups: Mapping[GroupName, frozenset[Identity]] = {}
    """Who owns environments together, by the groups' names."""
    session_owners: bool = False
    """Whether people of IAM Identity Center own environments each for themselves, not as their permission set's role."""
    github: tuple[GitHubCallers, ...] = ()
    """The workflows that are let in by GitHub's tokens."""
    github_issuer: IssuerUrl = access.GITHUB_ISSUER

    image_registries: tuple[Registry, ...] = ()
    """What images must begin with; without any, no image is accepted."""
    secrets_prefix: SecretsPrefix | None = None
    """The ARN prefix below which callers may refer to secrets; None: they may refer to none."""
    environments_per_owner: int = Field(default=20, ge=1)
    default_ttl: str = "12h"
    max_lifetime: str = "7d"
    allow_never: bool = False
    max_body_bytes: int = Field(default=64 * 1024, gt=0)

    @model_validator(mode="after")
    def _check_groups(self) -> Self:
        groups_by_member(self.groups)
        return self

    @cached_property
    def access(self) -> Access:
        """Who is let in, and as whom."""
        return Access(
            operators=frozenset(map(owner_of, self.operators)),
            group_of=groups_by_member(self.groups),
            session_owners=self.session_owners,
            github=GitHub(self.github_issuer, self.github),
        )

    @cached_property
    def policy(self) -> Policy:
        """What callers may run."""
        return Policy(self.image_registries, self.secrets_prefix, self.allow_never, self.environments_per_owner)

    @property
    def lifetimes(self) -> LifetimeLimits:
        """How long environments live by default and at most."""
        return LifetimeLimits(
            default=self.ttl(self.default_ttl), longest=parse_ttl(self.max_lifetime, allow_never=True)
        )

    def ttl(self, text: str) -> timedelta | None:
        """A TTL that a caller sends. Raises BadRequest `bad_ttl`."""
        return parse_ttl(text, allow_never=self.allow_never)


class WorkerSettings(Settings):
    """The settings of the worker function."""

    backend_url: str
    secrets_provider: str
    prefix: str = "fib-app"
    access_role_arn: str | None = None
    instance_role_arn: str | None = None
    stop_before_seconds: float = Field(default=90.0, gt=0)
    """How long before the function's hard limit an operation is told to stop."""
    lease_margin_seconds: float = Field(default=60.0, gt=0)
    """How long after the function's hard limit the lease ends."""
