"""Who calls, from what API Gateway proved about them; nothing that a caller sends decides it.

Two ways in. IAM's authorizer gives an ARN, `arn:aws:sts::123456789012:assumed-role/ROLE/SESSION` or
`arn:aws:iam::123456789012:user/NAME`. The JWT authorizer gives the claims of a token that GitHub issued to a workflow. It has
checked signature, issuer, audience and times, and that is little: any repository of all GitHub gets such a token. So the ids
in it are looked up in a list.

The rule: what is missing, or is not what is expected, proves nobody. `sub` is never read: a repository's owner can shape it.
"""

from __future__ import annotations

import re
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, field
from fnmatch import fnmatchcase
from typing import Any

from orchestrator.domain.access import Caller
from orchestrator.domain.errors import ErrorCode, Forbidden, Unauthenticated

_ROLE = re.compile(r"arn:([^:]+):iam::(\d+):role/(?:.*/)?([^/]+)")
_SESSION = re.compile(r"arn:([^:]+):sts::(\d+):assumed-role/([^/]+)(?:/.*)?")
# Not `federated-user`: whoever asks for such credentials chooses the name in them.
_PROVEN = re.compile(r"arn:aws[a-z-]*:(?:iam::[0-9]{12}:(?:user/.+|root)|sts::[0-9]{12}:assumed-role/[^/]+/[^/]+)")
_PERSON = re.compile(r"arn:[^:]+:sts::\d+:assumed-role/AWSReservedSSO_[^/]+/[^/]+")

_FORMS = {
    "exp": re.compile(r"[0-9].*"),
    "repository_id": re.compile(r"[0-9]{1,20}"),
    "repository_owner_id": re.compile(r"[0-9]{1,20}"),
    # What git lets a ref have (git-check-ref-format), less what is in a list's text.
    "ref": re.compile(r"refs/[^\s\x00-\x20\x7f~^:?*\[\\\]]{1,500}"),
    "event_name": re.compile(r"[a-z_]{1,50}"),
    "job_workflow_ref": re.compile(r"[^\s\[\]]{1,1000}@[^\s\[\]]{1,1000}"),
}
"""What claims look like. API Gateway writes all of them as strings, and a list as `[a b]`."""
_NO_TEXT = ("null", "true", "false")
"""What it writes for what was none."""
_NEEDED = ("exp", "repository_id", "repository_owner_id", "ref", "event_name")

_NEVER = "pull_request_target"
"""Runs with the target's rights, while what it works on may be anybody's."""


@dataclass(frozen=True)
class Workflows:
    """Which of GitHub's workflows are let in: an owner's, or one repository's, on these refs, of these workflow files.

    None: any. Refs and workflow files may have `*` and `?`, which also stand for slashes.
    """

    repository_owner_id: str
    repository_id: str | None = None
    refs: Collection[str] | None = None
    job_workflow_refs: Collection[str] | None = None

    def has(self, claims: Mapping[str, Any]) -> bool:
        """Whether these claims, of which the needed ones are there, are such a workflow's."""
        return (
            claims["repository_owner_id"] == self.repository_owner_id
            and self.repository_id in (None, claims["repository_id"])
            and (self.refs is None or _like(claims["ref"], self.refs))
            and (self.job_workflow_refs is None or _like(_text(claims, "job_workflow_ref"), self.job_workflow_refs))
        )


@dataclass(frozen=True)
class GitHub:
    """Whose tokens are believed, and which of their bearers are let in."""

    issuer: str = "https://token.actions.githubusercontent.com"
    workflows: Collection[Workflows] = ()


@dataclass(frozen=True)
class Access:
    """Who is who on this platform. Operators and groups' members are named as `owner_of` gives them."""

    operators: Collection[str] = frozenset()
    group_of: Mapping[str, str] = field(default_factory=dict)
    session_owners: bool = False
    github: GitHub = field(default_factory=GitHub)


def caller_of(request_context: Mapping[str, Any], access: Access) -> Caller:
    """The caller of an HTTP API event's `requestContext`.

    Raises Unauthenticated when it proves nobody, Forbidden `not_allowed` when it proves somebody who is not let in.
    """
    match request_context.get("authorizer"):
        case {"iam": {"userArn": str(arn)}, **others} if _PROVEN.fullmatch(arn) and not others.get("jwt"):
            return _principal(arn, access)
        case {"jwt": {"claims": dict(claims)}, **others} if not others.get("iam"):
            repository = _repository(claims, access.github)
            return _known(repository, (repository,), access)
    raise Unauthenticated("Sign the request with the AWS credentials of a role or user (SigV4, service execute-api).")


def owner_of(identity: str) -> str:
    """The owner that an ARN stands for: an assumed role without its session, the same for the role's own ARN, a user as it is.

    `arn:aws:iam::123456789012:role/path/ROLE` and `arn:aws:sts::123456789012:assumed-role/ROLE/SESSION` are both
    `arn:aws:sts::123456789012:assumed-role/ROLE`: what a session tells of its role has no path. The session of a person of IAM
    Identity Center is the person, and stays; so does what is no role's.
    """
    return identity if _PERSON.fullmatch(identity) else _without_session(identity)


def _principal(arn: str, access: Access) -> Caller:
    person, role = owner_of(arn), _without_session(arn)
    return _known(person if access.session_owners else role, (person, role), access)


def _repository(claims: Mapping[str, Any], github: GitHub) -> str:
    """The repository that a token was issued to."""
    if not all(_text(claims, name) for name in _NEEDED) or claims.get("iss") != github.issuer:
        raise Unauthenticated(
            f"The token must be one that {github.issuer} issued to a workflow, with its usual claims."
        )
    if claims["event_name"] == _NEVER:
        raise Forbidden(
            f"Workflows started by {_NEVER} are not let in: they may run what anybody wrote.", ErrorCode.NOT_ALLOWED
        )
    if not any(workflows.has(claims) for workflows in github.workflows):
        raise Forbidden(
            "This workflow is not let in. The platform's `github` setting says which repositories, refs and workflows are.",
            ErrorCode.NOT_ALLOWED,
        )
    return f"github:repository:{claims['repository_id']}"


def _known(identity: str, names: Sequence[str], access: Access) -> Caller:
    """The caller as the settings know it by these names, the narrowest first."""
    group = next((access.group_of[name] for name in names if name in access.group_of), None)
    return Caller(identity, operator=any(name in access.operators for name in names), group=group)


def _without_session(arn: str) -> str:
    role = _ROLE.fullmatch(arn) or _SESSION.fullmatch(arn)
    return "arn:{}:sts::{}:assumed-role/{}".format(*role.groups()) if role else arn


def _text(claims: Mapping[str, Any], name: str) -> str:
    """A claim of the form that it must have; empty for anything else."""
    value = claims.get(name)
    return value if isinstance(value, str) and value not in _NO_TEXT and _FORMS[name].fullmatch(value) else ""


def _like(value: str, patterns: Collection[str]) -> bool:
    # `*` stands for nothing, too, but a claim that is not there is like no pattern.
    return value != "" and any(fnmatchcase(value, pattern) for pattern in patterns)
