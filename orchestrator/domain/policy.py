"""What this platform lets anybody run, whoever asks: images of named registries, secrets under a prefix, so many at once.

The rule: pure, and closed unless opened: without registries no image is taken, without a prefix no secret. Names are compared
as they stand, after a pattern has let nothing through that has two spellings.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import timedelta

from orchestrator.domain.environment import Spec
from orchestrator.domain.errors import BadRequest, ErrorCode
from orchestrator.domain.names import IMAGE, IMAGE_HOSTS, IMAGE_NAME, PUBLIC_ALIAS

_BELOW = r"[A-Za-z0-9/_+=.@-]{1,512}(?::[A-Za-z0-9/_+=.@-]{0,512}){0,3}"
"""The rest of a reference: a secret's or parameter's name, and of a secret perhaps JSON key, stage and version."""

_NOTHING = "(?!)"


@dataclass(frozen=True)
class Policy:
    """One platform's. `registries` and `secrets_prefix` end in a slash, so that no longer name begins like them."""

    registries: Sequence[str] = ()
    secrets_prefix: str | None = None
    allow_never: bool = False
    environments_per_owner: int = 20
    """Live ones; operators have no limit."""

    def check(self, spec: Spec) -> None:
        """Raises BadRequest `image_registry`, `no_secrets` or `secret_outside_prefix`."""
        if not self.registries:
            raise BadRequest(
                "This platform takes no images yet. Its operator names registries in `image_registries`.",
                ErrorCode.IMAGE_REGISTRY,
            )
        if not (IMAGE.fullmatch(spec.image) and spec.image.startswith(tuple(self.registries))):
            raise BadRequest(f"image must begin with {' or '.join(self.registries)}", ErrorCode.IMAGE_REGISTRY)
        if spec.secrets and self.secrets_prefix is None:
            raise BadRequest("This platform takes no references to secrets.", ErrorCode.NO_SECRETS)
        for name, reference in spec.secrets.items():
            if not re.fullmatch(self.secret_pattern, reference):
                raise BadRequest(
                    f"{name} refers to a secret outside {self.secrets_prefix}, or not by its ARN.",
                    ErrorCode.SECRET_OUTSIDE_PREFIX,
                )

    def check_ttl(self, ttl: timedelta | None) -> None:
        """Raises BadRequest `bad_ttl` for one that this platform gives nobody any more."""
        if ttl is None and not self.allow_never:
            raise BadRequest(
                "It was to live for ever, which this platform lets no environment do by now: give a ttl.",
                ErrorCode.BAD_TTL,
            )

    @property
    def image_pattern(self) -> str:
        """What `check` takes as an image, as a regular expression for OpenAPI."""
        return "|".join(filter(None, map(_images_below, self.registries))) or _NOTHING

    @property
    def secret_pattern(self) -> str:
        """What it takes as a reference to a secret."""
        return _NOTHING if self.secrets_prefix is None else f"{re.escape(self.secrets_prefix)}{_BELOW}"


def _images_below(registry: str) -> str | None:
    """The images whose names begin so; None for a registry that App Runner takes nothing from."""
    if re.fullmatch(f"(?:{IMAGE_HOSTS})(?:[a-z0-9]+(?:[._-][a-z0-9]+)*/)*", registry):
        return f"{re.escape(registry)}{IMAGE_NAME}"
    return f"{re.escape(registry)}{PUBLIC_ALIAS}{IMAGE_NAME}" if registry == "public.ecr.aws/" else None
