"""The caller of a request, from its SigV4 Authorization header.

A request without a complete header is refused with AWS's errors, and so is one signed for another service. `iam`
checks the signature itself, because it knows the secret keys.
"""

from __future__ import annotations

import re

from localcloud.apprunner.errors import NotAuthenticated
from localcloud.apprunner.model import Caller

_HEADER = re.compile(
    r"AWS4-HMAC-SHA256\s+"
    r"Credential=(?P<key>[^/,\s]+)/(?P<date>\d{8})/(?P<region>[a-z0-9-]+)/(?P<service>[a-z0-9-]+)/aws4_request,\s*"
    r"SignedHeaders=(?P<headers>[^,\s]+),\s*"
    r"Signature=(?P<signature>[0-9a-f]{64})"
)


def read_caller(authorization: str | None, date: str | None, *, signing_name: str) -> Caller:
    """The caller, from the headers Authorization and X-Amz-Date. Raises NotAuthenticated with AWS's code."""
    if not authorization:
        raise NotAuthenticated("Missing Authentication Token")
    found = _HEADER.fullmatch(authorization.strip())
    if not found or not date:
        raise NotAuthenticated(
            "Authorization header requires 'Credential', 'SignedHeaders' and 'Signature', and a date.",
            code="IncompleteSignatureException",
            status=400,
        )
    if found["service"] != signing_name:
        raise NotAuthenticated(
            f"Credential should be scoped to correct service: '{signing_name}'.", code="InvalidSignatureException"
        )
    return Caller(access_key=found["key"], region=found["region"])
