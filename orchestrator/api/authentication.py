"""Who sends a request, by what API Gateway proved about them.

There are two kinds of callers. IAM's authorizer gives an ARN, `arn:aws:sts::123456789012:assumed-role/ROLE/SESSION` or
`arn:aws:iam::123456789012:user/NAME`. The JWT authorizer gives the claims of a token that GitHub issued to a workflow. It has
checked signature, issuer, audience and times, which is not enough: every repository on GitHub can get such a token. So the ids
in it are compared with the platform's list.

The rule: what is missing or not as expected proves nothing. `sub` is never read, because the repository can choose its form.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any

from orchestrator.domain.access import Access, Caller, GitHub
from orchestrator.domain.errors import ErrorCode, Forbidden, Unauthenticated

# Not `federated-user`: whoever asks for such credentials chooses the name in them.
_PROVEN = re.compile(r"arn:aws[a-z-]*:(?:iam::[0-9]{12}:(?:user/.+|root)|sts::[0-9]{12}:assumed-role/[^/]+/[^/]+)")

_CLAIM_PATTERNS = {
    "exp": re.compile(r"[0-9].*"),
    "repository_id": re.compile(r"[0-9]{1,20}"),
    "repository_owner_id": re.compile(r"[0-9]{1,20}"),
    # What git allows in a ref (git-check-ref-format), without the characters of a list's text.
    "ref": re.compile(r"refs/[^\s\x00-\x20\x7f~^:?*\[\\\]]{1,500}"),
    "event_name": re.compile(r"[a-z_]{1,50}"),
    "job_workflow_ref": re.compile(r"[^\s\[\]]{1,1000}@[^\s\[\]]{1,1000}"),
}
"""API Gateway writes all claims as strings, and a list as `[a b]`."""
_NOT_STRINGS = ("null", "true", "false")
"""How API Gateway writes claims that were no strings."""
_REQUIRED = ("exp", "repository_id", "repository_owner_id", "ref", "event_name")

_REFUSED_EVENT = "pull_request_target"
"""Such a workflow has the target repository's rights, while it works on code that anyone may have written."""


def caller_of(request_context: Mapping[str, Any], access: Access) -> Caller:
    """The caller of an HTTP API event's `requestContext`.

    Raises Unauthenticated when it proves no identity, Forbidden `not_allowed` when it proves one that is not allowed.
    """
    match request_context.get("authorizer"):
        case {"iam": {"userArn": str(arn)}, **others} if _PROVEN.fullmatch(arn) and not others.get("jwt"):
            return access.caller(arn)
        case {"jwt": {"claims": dict(claims)}, **others} if not others.get("iam"):
            return access.caller(_repository(claims, access.github))
    raise Unauthenticated("Sign the request with the AWS credentials of a role or user (SigV4, service execute-api).")


def _repository(claims: Mapping[str, Any], github: GitHub) -> str:
    """The identity of the repository that a token was issued to."""
    claim = {name: _text(claims, name) for name in _CLAIM_PATTERNS}
    if not all(claim[name] for name in _REQUIRED) or claims.get("iss") != github.issuer:
        raise Unauthenticated(
            f"The token must be one that {github.issuer} issued to a workflow, with its usual claims."
        )
    if claim["event_name"] == _REFUSED_EVENT:
        raise Forbidden(
            f"Workflows started by {_REFUSED_EVENT} are not allowed: they work on code that anyone may have written. "
            "Start the workflow with another event.",
            ErrorCode.NOT_ALLOWED,
        )
    allowed = ("repository_owner_id", "repository_id", "ref", "job_workflow_ref")
    if not any(workflow.allows(**{name: claim[name] for name in allowed}) for workflow in github.workflows):
        raise Forbidden(
            "This workflow is not allowed. The platform's `github` setting says which repositories, refs and workflows are.",
            ErrorCode.NOT_ALLOWED,
        )
    return f"github:repository:{claim['repository_id']}"


def _text(claims: Mapping[str, Any], name: str) -> str:
    """The claim, if it is a string of its pattern; else an empty one."""
    value = claims.get(name)
    return (
        value if isinstance(value, str) and value not in _NOT_STRINGS and _CLAIM_PATTERNS[name].fullmatch(value) else ""
    )
