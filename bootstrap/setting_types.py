"""The kinds of values that settings take, each with the pattern that AWS or GitHub gives it.

The rule: a pattern refuses what can't be; whether it is there (a role, a repository) is asked of nobody.
"""

from __future__ import annotations

import re
from typing import Annotated, Literal

from pydantic import AfterValidator, BaseModel, ConfigDict, Field

_ROLE_OR_USER = r"arn:aws[a-z-]*:(iam::[0-9]{12}:(role|user)|sts::[0-9]{12}:assumed-role)/[A-Za-z0-9_+=,.@/-]+"
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
_ROLE = re.compile(r"arn:([^:]+):iam::([0-9]+):role/(?:.*/)?([^/]+)")
_SESSION = re.compile(r"arn:([^:]+):sts::([0-9]+):assumed-role/([^/]+)(?:/.*)?")
_SESSION_OF_ROLE = re.compile(r"arn:[^:]+:sts::[0-9]+:assumed-role/[^/]+/.+")
_PERSON = re.compile(r"arn:[^:]+:sts::[0-9]+:assumed-role/AWSReservedSSO_[^/]+/[^/]+")


def _no_session(identity: str) -> str:
    # Whoever assumes a role names the session as he likes. The API reads the entry as the whole role.
    if _SESSION_OF_ROLE.fullmatch(identity) and not _PERSON.fullmatch(identity):
        raise ValueError(f"{identity} is a session, and whoever assumes the role names it: name the role alone")
    return identity


Identity = Annotated[str, Field(pattern=rf"^({_ROLE_OR_USER}|github:repository:[0-9]+)$"), AfterValidator(_no_session)]
"""Who may own: a role, a user, or a person of IAM Identity Center by the ARN, or a GitHub repository by its id."""
ImageUri = Annotated[
    str,
    Field(
        pattern=r"^[0-9]{12}\.dkr\.ecr\.[a-z0-9-]+\.amazonaws\.com(\.cn)?/[a-z0-9][a-z0-9._/-]*"
        r"(:[A-Za-z0-9_][A-Za-z0-9._-]{0,127}|@sha256:[0-9a-f]{64})$"
    ),
]
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


IN_WORDS = {
    "platform": "3 to 21 lower-case letters, digits and hyphens, a letter first and no hyphen last",
    "region": "the name of a region, such as eu-west-1",
    "image_uri": "an image in ECR, ACCOUNT.dkr.ecr.REGION.amazonaws.com/NAME with a tag or digest",
    "prefix": "2 to 7 lower-case letters, digits and hyphens, a letter first and no hyphen last",
    "image_registries": "a registry and the path in it, ending in a slash, such as public.ecr.aws/team/",
    "secrets_prefix": "an ARN up to a slash, such as arn:aws:secretsmanager:REGION:ACCOUNT:secret:fibfactory/",
    "instance_role_arn": "the ARN of a role",
    "operators": "the ARN of a role or user, or github:repository:ID",
    "groups": "a name of lower-case letters, digits and hyphens, with a list of ARNs of roles or users, or github:repository:ID",
    "github_audience": "a word of at most 200 characters",
    "github_issuer": "a URL without a query",
    "repository_id": "a repository's number, not its name",
    "repository_owner_id": "the number of a user or organization, not the name",
    "github": "a ref such as refs/heads/main, or OWNER/REPOSITORY/PATH@REF for a workflow",
    "nightly_schedule": "rate(1 day) or cron(0 3 * * ? *), for instance",
    "light_schedule": "rate(5 minutes) or cron(0/5 * * * ? *), for instance",
    "worker_policies": "the ARN of a managed policy",
    "permissions_boundary": "the ARN of a managed policy",
    "alarm_emails": "an address for mail",
}
"""What a setting must be, where its pattern alone would say it."""
