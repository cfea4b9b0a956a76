"""Whether the signer of a request has the permissions that it needs: IAM's answer.

Rule: nothing is decided here. ministack, which has the users, roles and keys, checks the signature and evaluates the policies
(localcloud/iam_endpoint.py). An emulator that runs by itself has no IAM and allows everything.
"""

from __future__ import annotations

import base64
import json
from collections.abc import Sequence
from dataclasses import asdict

import urllib3
from flask import Request

from localcloud.apprunner.errors import ApiError
from localcloud.apprunner.permissions import Permission

_CONNECTIONS = 48
_TIMEOUT = 30.0


class Iam:
    """ministack's identities and policies, asked through the IAM endpoint at `url`."""

    def __init__(self, url: str) -> None:
        self._url = url
        self._http = urllib3.PoolManager(maxsize=_CONNECTIONS, block=True, timeout=_TIMEOUT)

    def require(self, request: Request, permissions: Sequence[Permission]) -> None:
        """Return if the signature is right and all permissions are given. Raises ApiError with AWS's code and message.

        Asked anew for every request: a changed policy holds from the next call on.
        """
        question = {
            "method": request.method,
            "path": request.path,
            "headers": request.headers.to_wsgi_list(),
            "body": base64.b64encode(request.get_data()).decode(),
            "checks": [asdict(each) for each in permissions],
        }
        answer = self._http.request("POST", self._url, body=json.dumps(question).encode())
        if answer.status != 200:
            raise RuntimeError(f"The IAM endpoint answered {answer.status}: {answer.data[:200]!r}")
        refusal = json.loads(answer.data)
        if refusal:
            raise ApiError(refusal["message"], code=refusal["code"], status=refusal["status"])
