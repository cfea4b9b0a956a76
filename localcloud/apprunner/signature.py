"""Who calls, from a request's SigV4 Authorization header.

Rules: a request without a complete header is refused with AWS's errors, and so is one signed for another service. The
signature itself is checked by who knows the secret keys: see `iam`.
"""

from __future__ import annotations

import re
from typing import Protocol

from localcloud.apprunner.errors import NotAuthenticated
from localcloud.apprunner.model import Caller


class Headers(Protocol):
    """A request's headers, whose names have no case."""

    def get(self, name: str, /) -> str | None:
        """A header's value."""


_HEADER = re.compile(
    r"AWS4-HMAC-SHA256\s+"
    r"Credential=(?P<key>[^/,\s]+)/(?P<date>\d{8})/(?P<region>[a-z0-9-]+)/(?P<service>[a-z0-9-]+)/aws4_request,\s*"
    r"SignedHeaders=(?P<headers>[^,\s]+),\s*"
    r"Signature=(?P<signature>[0-9a-f]{64})"
)


def read_caller(headers: Headers, *, signing_name: str, account: str) -> Caller:
    """The caller. Raises NotAuthenticated with AWS's code for what is wrong."""
    header = headers.get("Authorization")
    if not header:
        raise NotAuthenticated("Missing Authentication Token")
    found = _HEADER.fullmatch(header.strip())
    if not found or not headers.get("X-Amz-Date"):
        raise NotAuthenticated(
            "Authorization header requires 'Credential', 'SignedHeaders' and 'Signature', and a date.",
            code="IncompleteSignatureException",
            status=400,
        )
    if found["service"] != signing_name:
        raise NotAuthenticated(
            f"Credential should be scoped to correct service: '{signing_name}'.", code="InvalidSignatureException"
        )
    return Caller(access_key=found["key"], region=found["region"], account=account)
