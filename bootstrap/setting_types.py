"""The kinds of values that settings take, each with the pattern that AWS or GitHub gives it.

The rule: a pattern refuses what can't be; whether it is there (a role, a repository) is asked of nobody.
"""

from __future__ import annotations

import re
from typing import Annotated, Literal

from pydantic import BaseModel, ConfigDict, Field

_ROLE_OR_USER = r"arn:aws[a-z-]*:(iam|sts)::[0-9]{12}:(role|user|assumed-role)/[A-Za-z0-9_+=,.@/-]+"
_SECRETS = (
    r"^arn:aws[a-z-]*:(secretsmanager:[a-z0-9-]+:[0-9]{12}:secret:|ssm:[a-z0-9-]+:[0-9]{12}:parameter/)"
    r"[A-Za-z0-9/_+=.@-]*/$"
)

# CloudWatch Logs takes these numbers of days and no others.
LogRetention = Literal[
    1, 3, 5, 7, 14, 30, 60, 90, 120, 150, 180, 365, 400, 545, 731, 1096, 1827, 2192, 2557, 2922, 3288, 3653
]
Schedule = Annotated[
    str, Field(pattern=r"^(rate\([1-9][0-9]* (minutes?|hours?|days?)\)|cron\([^()]{11,}\))$", max_length=256)
]
Identity = Annotated[str, Field(pattern=rf"^({_ROLE_OR_USER}|github:repository:[0-9]+)$")]
"""Who may own: a role or user of IAM by its ARN, or a GitHub repository by its id."""
_ROLE = re.compile(r"arn:([^:]+):iam::([0-9]+):role/(?:.*/)?([^/]+)")
_SESSION = re.compile(r"arn:([^:]+):sts::([0-9]+):assumed-role/([^/]+)(?:/.*)?")
_PERSON = re.compile(r"arn:[^:]+:sts::[0-9]+:assumed-role/AWSReservedSSO_[^/]+/[^/]+")
GroupName = Annotated[str, Field(pattern=r"^[a-z][a-z0-9-]{0,38}[a-z0-9]$")]
RoleArn = Annotated[str, Field(pattern=r"^arn:aws[a-z-]*:iam::[0-9]{12}:role/[A-Za-z0-9_+=,.@/-]+$")]
PolicyArn = Annotated[str, Field(pattern=r"^arn:aws[a-z-]*:iam::(aws|[0-9]{12}):policy/[A-Za-z0-9_+=,.@/-]+$")]
Registry = Annotated[str, Field(pattern=r"^[a-z0-9][a-z0-9.-]*(:[0-9]{1,5})?(/[a-z0-9][a-z0-9._-]*)*/$")]
"""What images' names may begin with. It ends in a slash: else `registry.example` would let in `registry.example.org`."""
SecretsPrefix = Annotated[str, Field(pattern=_SECRETS)]
"""Secrets of Secrets Manager or parameters of SSM, below a path; it ends in a slash for the same reason."""
# API Gateway itself insists on TLS.
Url = Annotated[str, Field(pattern=r"^https?://[A-Za-z0-9][A-Za-z0-9.-]*(:[0-9]{1,5})?(/[A-Za-z0-9._~/-]*)?$")]
Email = Annotated[str, Field(pattern=r"^[^@\s]+@[^@\s]+\.[^@\s]+$")]
NumericId = Annotated[str, Field(pattern=r"^[0-9]+$")]


class GitHubCallers(BaseModel):
    """Workflows that are let in: an owner's, or one repository's, on all refs or some, of all workflows or some.

    Ids rather than names: a name that is given up can be taken by somebody else.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    repository_owner_id: NumericId
    repository_id: NumericId | None = None
    refs: tuple[Annotated[str, Field(pattern=r"^refs/\S+$")], ...] | None = Field(default=None, min_length=1)
    job_workflow_refs: tuple[Annotated[str, Field(pattern=r"^[^\s/]+/[^\s/]+/\S+@\S+$")], ...] | None = Field(
        default=None, min_length=1
    )


def known_as(identity: str) -> str:
    """One name for a role by whichever ARN it is given, with its path or as a session; anybody else's as it is.

    A person of IAM Identity Center is a session that stays one. The API tells its callers apart in the same way.
    """
    role = None if _PERSON.fullmatch(identity) else _ROLE.fullmatch(identity) or _SESSION.fullmatch(identity)
    return ":".join(role.groups()) if role else identity
