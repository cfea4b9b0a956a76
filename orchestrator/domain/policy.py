"""What a platform allows every caller to run: images of named registries, secrets under a prefix, a number of environments.

The rule: what the settings do not allow is refused: without registries every image, without a prefix every secret. Names are
compared as texts; this is safe because the patterns match no name that can be written in two ways.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import timedelta

from orchestrator.domain.environment import Spec
from orchestrator.domain.errors import BadRequest, ErrorCode
from orchestrator.domain.formats import TextFormat
from orchestrator.domain.names import IMAGE, IMAGE_HOSTS, IMAGE_NAME, PUBLIC_ALIAS

REGISTRY = TextFormat(
    r"[a-z0-9][a-z0-9.-]*(?::[0-9]{1,5})?(?:/[a-z0-9][a-z0-9._-]*)*/",
    "a registry and the path in it, ending in a slash, such as public.ecr.aws/team/",
)
"""What images' names may begin with. Without the slash, `registry.example` would also allow `registry.example.org`."""
SECRETS_PREFIX = TextFormat(
    r"arn:aws[a-z-]*:(?:secretsmanager:[a-z0-9-]+:[0-9]{12}:secret:|ssm:[a-z0-9-]+:[0-9]{12}:parameter/)[A-Za-z0-9/_+=.@-]*/",
    "an ARN up to a slash, such as arn:aws:secretsmanager:REGION:ACCOUNT:secret:fibfactory/",
)
"""Secrets of Secrets Manager or parameters of SSM below a path, which ends in a slash for the same reason."""

_BELOW = r"[A-Za-z0-9/_+=.@-]{1,512}(?::[A-Za-z0-9/_+=.@-]{0,512}){0,3}"
"""The rest of a reference: the name of a secret or parameter; for a secret optionally JSON key, stage and version."""

_NOTHING = "(?!)"
"""A pattern that matches no text."""


@dataclass(frozen=True)
class Policy:
    """One platform's. `registries` are of the format REGISTRY, `secrets_prefix` is of SECRETS_PREFIX."""

    registries: Sequence[str] = ()
    secrets_prefix: str | None = None
    allow_never: bool = False
    environments_per_owner: int = 20
    """How many active ones an owner may have; operators have no limit."""

    def check(self, spec: Spec) -> None:
        """Raises BadRequest `image_registry`, `no_secrets` or `secret_outside_prefix`."""
        if not self.registries:
            raise BadRequest(
                "This platform allows no images yet. Its operator names registries in the setting `image_registries`.",
                ErrorCode.IMAGE_REGISTRY,
            )
        if not (IMAGE.fullmatch(spec.image) and spec.image.startswith(tuple(self.registries))):
            raise BadRequest(f"image must begin with {' or '.join(self.registries)}", ErrorCode.IMAGE_REGISTRY)
        if spec.secrets and self.secrets_prefix is None:
            raise BadRequest(
                "This platform allows no references to secrets. Its operator can name a prefix in the setting `secrets_prefix`.",
                ErrorCode.NO_SECRETS,
            )
        for name, reference in spec.secrets.items():
            if not re.fullmatch(self.secret_pattern, reference):
                raise BadRequest(
                    f"{name} must be the ARN of a secret below {self.secrets_prefix}.",
                    ErrorCode.SECRET_OUTSIDE_PREFIX,
                )

    def check_ttl(self, ttl: timedelta | None) -> None:
        """Raises BadRequest `bad_ttl` for a TTL that the platform does not allow, or not any more."""
        if ttl is None and not self.allow_never:
            raise BadRequest(
                "The environment's ttl was `never`, which this platform no longer allows: give a ttl.",
                ErrorCode.BAD_TTL,
            )

    @property
    def image_pattern(self) -> str:
        """The images that `check` accepts, as a regular expression for OpenAPI."""
        return "|".join(filter(None, map(_images_below, self.registries))) or _NOTHING

    @property
    def secret_pattern(self) -> str:
        """The references to secrets that `check` accepts."""
        return _NOTHING if self.secrets_prefix is None else f"{re.escape(self.secrets_prefix)}{_BELOW}"


def _images_below(registry: str) -> str | None:
    """A pattern of the registry's images; None for a registry from which App Runner takes no images."""
    if re.fullmatch(f"(?:{IMAGE_HOSTS})(?:[a-z0-9]+(?:[._-][a-z0-9]+)*/)*", registry):
        return f"{re.escape(registry)}{IMAGE_NAME}"
    return f"{re.escape(registry)}{PUBLIC_ALIAS}{IMAGE_NAME}" if registry == "public.ecr.aws/" else None
