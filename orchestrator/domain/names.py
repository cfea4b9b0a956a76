"""The names and tags of an environment and of everything made for it.

The rule: every name follows from the environment's id, so that anything that runs can be matched to its record, and nothing whose
name does not match is touched. App Runner allows 40 characters for a service's name: `fib-app-`, an id of 24, `-service`.
"""

from __future__ import annotations

import re
from collections.abc import Mapping

from orchestrator.domain.errors import BadRequest, ErrorCode

PROJECT = "fibfactory"
"""The Pulumi project of every environment's stack, as in the original script."""

_ID = re.compile(r"[a-z][a-z0-9-]{1,22}[a-z0-9]")

PUBLIC_ALIAS = "[a-z0-9][a-z0-9._-]*/"
IMAGE_HOSTS = rf"[0-9]{{12}}\.dkr\.ecr\.[a-z-]+-[0-9]\.amazonaws\.com/|public\.ecr\.aws/{PUBLIC_ALIAS}"
IMAGE_REPOSITORY = r"[a-z0-9]+(?:[._/-][a-z0-9]+)*"
IMAGE_REFERENCE = r"(?::[A-Za-z0-9_][A-Za-z0-9._-]{0,127}|@sha256:[0-9a-f]{64})"
IMAGE_NAME = f"{IMAGE_REPOSITORY}{IMAGE_REFERENCE}?"
IMAGE = re.compile(f"(?:{IMAGE_HOSTS}){IMAGE_NAME}")
"""An image in private or public ECR; App Runner takes no other (its API model's ImageIdentifier)."""

IMAGE_HELP = (
    "image must be in private ECR (ACCOUNT.dkr.ecr.REGION.amazonaws.com/NAME:TAG) or public ECR "
    "(public.ecr.aws/ALIAS/NAME:TAG): App Runner takes no others"
)

TAG_PLATFORM = "fibfactory:platform"
TAG_OWNER = "fibfactory:owner"
TAG_ENVIRONMENT = "fibfactory:environment"
TAG_GENERATION = "fibfactory:generation"
TAG_DESIRED = "fibfactory:desired"
"""`running` or `paused`, so that the AWS console shows whether a pause is desired."""

NO_PLATFORM = "none"
"""The platform tag of environments that `fibfactory.py` makes in its own process: no sweep touches them."""


def check_id(environment_id: str) -> str:
    """The id itself, if it is valid. Raises BadRequest `bad_id` otherwise."""
    if not _ID.fullmatch(environment_id):
        raise BadRequest(
            "An environment's id has 3 to 24 lower-case letters, digits and hyphens, a letter first and no hyphen last.",
            ErrorCode.BAD_ID,
        )
    return environment_id


def stack_name(environment_id: str) -> str:
    return f"{PROJECT}-{environment_id}"


def app_name(prefix: str, environment_id: str) -> str:
    return f"{prefix}-{environment_id}"


def service_name(prefix: str, environment_id: str) -> str:
    return f"{app_name(prefix, environment_id)}-service"


def id_of_stack(stack: str) -> str | None:
    """The environment to which a stack of this name belongs, or None."""
    return _id_between(stack_name(""), stack, "")


def id_of_service(prefix: str, service: str) -> str | None:
    """The environment to which a service of this name belongs, or None."""
    return _id_between(f"{prefix}-", service, "-service")


def tags(platform: str, owner: str, environment_id: str, generation: int, *, paused: bool = False) -> Mapping[str, str]:
    """The tags of every resource that an environment makes (at most 256 characters each, App Runner's limit)."""
    return {
        TAG_PLATFORM: platform,
        TAG_OWNER: owner_tag(owner),
        TAG_ENVIRONMENT: environment_id,
        TAG_GENERATION: str(generation),
        TAG_DESIRED: "paused" if paused else "running",
    }


def owner_tag(owner: str) -> str:
    """The owner, cut to the length of a tag's value."""
    return owner[:256]


def _id_between(before: str, name: str, after: str) -> str | None:
    if not (name.startswith(before) and name.endswith(after)):
        return None
    environment_id = name.removeprefix(before).removesuffix(after)
    return environment_id if _ID.fullmatch(environment_id) else None
