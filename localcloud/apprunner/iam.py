"""Whether whoever signed a request may do what it asks: the identity system's answer.

Rule: this side decides nothing. ministack, which has the users, roles and keys, checks the signature and evaluates the policies
(localcloud/iam_endpoint.py). An emulator that runs by itself knows no identities and lets everybody in.
"""

from __future__ import annotations

import base64
import json
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from typing import Protocol

import urllib3

from localcloud.apprunner.errors import ApiError
from localcloud.apprunner.permissions import Check

_CONNECTIONS = 48
_TIMEOUT = 30.0


@dataclass(frozen=True)
class Signed:
    """A request as it arrived, which is what its signature is about."""

    method: str
    path: str
    headers: Sequence[tuple[str, str]]
    body: bytes


class Iam(Protocol):
    """The identity system."""

    def demand(self, request: Signed, checks: Sequence[Check]) -> None:
        """Return if the signature is right and all checks are allowed. Raises ApiError with AWS's code, message and status."""


class Everybody:
    """No identity system: whoever calls may do everything."""

    def demand(self, request: Signed, checks: Sequence[Check]) -> None:
        """Allow it."""


class MinistackIam:
    """ministack's identities and policies, asked through its additional door at `url`."""

    def __init__(self, url: str) -> None:
        self._url = url
        self._http = urllib3.PoolManager(maxsize=_CONNECTIONS, block=True, timeout=_TIMEOUT)

    def demand(self, request: Signed, checks: Sequence[Check]) -> None:
        """Ask for every single request: a policy that was changed holds from the next call on."""
        question = {
            "method": request.method,
            "path": request.path,
            "headers": request.headers,
            "body": base64.b64encode(request.body).decode(),
            "checks": [asdict(each) for each in checks],
        }
        answer = self._http.request("POST", self._url, body=json.dumps(question).encode())
        if answer.status != 200:
            raise RuntimeError(f"IAM's door answered {answer.status}: {answer.data[:200]!r}")
        refusal = json.loads(answer.data)
        if refusal:
            raise ApiError(refusal["message"], code=refusal["code"], status=refusal["status"])
