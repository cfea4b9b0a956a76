"""Who calls, from what API Gateway proved about them; nothing that a caller sends decides it.

An owner is a role's ARN without its session, or a user's ARN. API Gateway's IAM authorizer gives
`arn:aws:sts::123456789012:assumed-role/ROLE/SESSION` or `arn:aws:iam::123456789012:user/NAME`.
"""

from __future__ import annotations

import re
from collections.abc import Collection, Mapping
from typing import Any

from orchestrator.errors import Unauthenticated
from orchestrator.service import Caller

_ROLE = re.compile(r"arn:([^:]+):iam::(\d+):role/(?:.*/)?([^/]+)")
_SESSION = re.compile(r"arn:([^:]+):sts::(\d+):assumed-role/([^/]+)(?:/.*)?")


def caller_of(request_context: Mapping[str, Any], operators: Collection[str]) -> Caller:
    """The caller of an HTTP API event's `requestContext`. Raises Unauthenticated when it proves nobody."""
    iam = (request_context.get("authorizer") or {}).get("iam") or {}
    arn = iam.get("userArn")
    if not isinstance(arn, str) or not arn.startswith("arn:"):
        raise Unauthenticated("Sign the request with AWS credentials (SigV4, service execute-api).")
    owner = owner_of(arn)
    return Caller(owner, operator=owner in {owner_of(operator) for operator in operators})


def owner_of(arn: str) -> str:
    """The owner that an ARN stands for: an assumed role without its session, the same for the role's own ARN, a user as it is.

    `arn:aws:iam::123456789012:role/path/ROLE` and `arn:aws:sts::123456789012:assumed-role/ROLE/SESSION` are both
    `arn:aws:sts::123456789012:assumed-role/ROLE`: what a session tells of its role has no path.
    """
    role = _ROLE.fullmatch(arn) or _SESSION.fullmatch(arn)
    return "arn:{}:sts::{}:assumed-role/{}".format(*role.groups()) if role else arn
