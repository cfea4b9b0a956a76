"""The functions' settings: a typed model of the environment variables that the platform gives them, checked once."""

from __future__ import annotations

from datetime import timedelta

from pydantic import Field
from pydantic_settings import BaseSettings, SettingsConfigDict

from orchestrator.desire import Lifetimes
from orchestrator.ttl import parse_ttl


class Settings(BaseSettings):
    """`FIBFACTORY_…`; the worker has more of them than the API."""

    model_config = SettingsConfigDict(env_prefix="FIBFACTORY_", frozen=True, extra="ignore")

    platform: str
    table: str
    worker_function: str
    operators: frozenset[str] = frozenset()
    """Owners who see and do everything, as a JSON list of ARNs without sessions."""
    default_ttl: str = "12h"
    max_lifetime: str = "7d"
    allow_never: bool = False
    secrets_prefix: str | None = None
    """ARN prefix under which callers may refer to secrets; None: they may not."""
    max_body_bytes: int = Field(default=64 * 1024, gt=0)

    @property
    def lifetimes(self) -> Lifetimes:
        return Lifetimes(default=self.ttl(self.default_ttl), longest=parse_ttl(self.max_lifetime, allow_never=True))

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
