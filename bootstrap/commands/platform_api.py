"""The platform's own HTTP API, called with the operator's credentials.

The rule: "not found" counts only with the platform's own error code, because API Gateway answers the same for a closed API.
"""

from __future__ import annotations

import json
import time
from collections.abc import Iterator, Mapping
from http import HTTPStatus
from typing import Any
from urllib.parse import urlencode

import boto3
from botocore.auth import SigV4Auth
from botocore.awsrequest import AWSPreparedRequest, AWSRequest
from botocore.exceptions import BotoCoreError
from botocore.httpsession import URLLib3Session

from bootstrap.errors import AccountError, BootstrapError, explained

_PAUSES_SECONDS = (1, 2, 4, 8, 0)
"""The pause after each attempt; 0 after the last one."""
_TRANSIENT = {429, 500, 502, 503, 504}
_NOT_FOUND = "not_found"


class PlatformApi:
    """One platform's API. It raises AccountError if the caller lacks permission, BootstrapError if the API does not answer."""

    def __init__(self, platform: str, url: str, session: boto3.Session) -> None:
        self._platform = platform
        self._url, self._session, self._http = url.rstrip("/"), session, URLLib3Session(timeout=35)

    def check_operator(self) -> None:
        """Raises AccountError unless the caller is an operator of the platform: others see only their own environments."""
        # A route for operators that changes nothing; the answer to operators is that there is no such sweep.
        self._call("GET", "/sweeps/none", missing={})

    def remove(self, environment_id: str) -> Mapping[str, Any]:
        """Request an environment's removal, even of a protected one; returns its record."""
        return dict(self._call("DELETE", f"/environments/{environment_id}", {"force": "true"}))

    def environment(self, environment_id: str) -> Mapping[str, Any]:
        """An environment's record, read consistently."""
        return dict(self._call("GET", f"/environments/{environment_id}"))

    def statuses(self) -> Mapping[str, str]:
        """Each environment's status. It may lag; `environment` does not."""
        return {found["id"]: found["status"] for found in self._listed()}

    def _listed(self) -> Iterator[Mapping[str, Any]]:
        cursor = None
        while True:
            page = self._call("GET", "/environments", {"limit": "100", **({"cursor": cursor} if cursor else {})})
            yield from page["environments"]
            cursor = page["cursor"]
            if cursor is None:
                return

    def _call(self, method: str, path: str, query: Mapping[str, str] | None = None, missing: Any = None) -> Any:
        """The body of the answer; `missing`, if given, when the platform's error code is `not_found`."""
        status, body = self._send(method, path + (f"?{urlencode(sorted(query.items()))}" if query else ""))
        if status < HTTPStatus.BAD_REQUEST:
            return body
        problem = body if isinstance(body, dict) else {}
        code, detail = problem.get("code"), problem.get("detail") or problem.get("message") or ""
        if code == _NOT_FOUND and missing is not None:
            return missing
        if code == "operators_only":
            raise AccountError(
                "Only operators of the platform can destroy everybody's environments, and you are not one of them.",
                f"Become one with `python -m bootstrap upgrade --platform {self._platform} --region {self._session.region_name} "
                "--operator ARN`, with one --operator for each existing one, too. Nothing was changed.",
            )
        if status == HTTPStatus.FORBIDDEN:
            raise AccountError(
                f"The platform's API refuses your credentials: 403 {detail}",
                "Give your user or role the permission execute-api:Invoke on it, or sign in again if your credentials have "
                "expired; then run this again.",
            )
        raise BootstrapError(f"The platform's API answered {status} to {method} {path}: {detail}", _CLOSED)

    def _send(self, method: str, path: str) -> tuple[int, Any]:
        """Status and body of one call, which is repeated while the API is too busy or can't be reached."""
        for pause in _PAUSES_SECONDS:
            try:
                answer = self._http.send(self._signed(method, f"{self._url}{path}"))
            except BotoCoreError as error:
                if not pause:
                    raise BootstrapError(f"The platform's API can't be reached: {error}", _CLOSED) from error
            else:
                if not pause or answer.status_code not in _TRANSIENT:
                    break
            time.sleep(pause)
        return answer.status_code, _parsed(answer.content)

    def _signed(self, method: str, url: str) -> AWSPreparedRequest:
        request = AWSRequest(method, url)
        with explained("sign a request to the platform's API"):
            credentials = self._session.get_credentials().get_frozen_credentials()
        SigV4Auth(credentials, "execute-api", self._session.region_name).add_auth(request)
        return request.prepare()


_CLOSED = "If an earlier destroy closed it, `python -m bootstrap upgrade` opens it again; then run this again."


def _parsed(content: bytes) -> Any:
    try:
        return json.loads(content)
    except ValueError:
        return {"message": content.decode(errors="replace")[:200]}
