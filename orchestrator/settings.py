"""The functions' settings: a typed model of their environment variables, checked once at their start.

The rule: a malformed setting stops the function at its start, rather than at the first request that needs it. A setting that is
left out allows nothing.
"""

from __future__ import annotations

from datetime import timedelta
from functools import cached_property

from pydantic import Field
from pydantic_settings import BaseSettings, SettingsConfigDict

from orchestrator.access_settings import AccessSettings, Registry
from orchestrator.domain.access import Access, GitHub, groups_by_member, owner_of
from orchestrator.domain.desired import LifetimeLimits
from orchestrator.domain.policy import Policy
from orchestrator.domain.ttl import parse_ttl


class Settings(AccessSettings, BaseSettings):
    """`FIBFACTORY_…`, for both functions; the worker has further ones."""

    model_config = SettingsConfigDict(env_prefix="FIBFACTORY_", env_ignore_empty=True, extra="ignore")

    platform: str
    table: str
    worker_function: str

    image_registries: tuple[Registry, ...] = ()
    """What images must begin with; without any, no image is accepted."""
    default_ttl: str = "12h"
    max_lifetime: str = "7d"
    max_body_bytes: int = Field(default=64 * 1024, gt=0)

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
