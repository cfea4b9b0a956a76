"""The platform's own HTTP API, asked with the operator's credentials.

The rule: an answer counts only if it is the platform's. A front door that is closed says "not found", too.
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
"""How long is waited after each try; there is none after the last."""
_PASSES = {429, 500, 502, 503, 504}
_NOT_FOUND = "not_found"


class PlatformApi:
    """One platform's API. Its errors are AccountError (who asks may not) and BootstrapError (it can't be asked)."""

    def __init__(self, platform: str, url: str, session: boto3.Session) -> None:
        self._platform = platform
        self._url, self._session, self._http = url.rstrip("/"), session, URLLib3Session(timeout=35)

    def check_operator(self) -> None:
        """Raises AccountError for callers who aren't operators of the platform: they see only what is theirs."""
        # A route of operators that changes nothing: who may ask is told that there is no such sweep.
        self._call("GET", "/sweeps/none", missing={})

    def remove(self, environment_id: str) -> Mapping[str, Any]:
        """Ask for an environment's end, protected or not; its record."""
        return dict(self._call("DELETE", f"/environments/{environment_id}", {"force": "true"}))

    def environment(self, environment_id: str) -> Mapping[str, Any]:
        """An environment's record, read consistently."""
        return dict(self._call("GET", f"/environments/{environment_id}"))

    def statuses(self) -> Mapping[str, str]:
        """Each environment's status, page by page. It may lag: only `environment` says what is so."""
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
        """The body of the answer; `missing`, if given, where the platform says that there is no such thing."""
        status, body = self._asked(method, path + (f"?{urlencode(sorted(query.items()))}" if query else ""))
        if status < HTTPStatus.BAD_REQUEST:
            return body
        problem = body if isinstance(body, dict) else {}
        code, said = problem.get("code"), problem.get("detail") or problem.get("message") or ""
        if code == _NOT_FOUND and missing is not None:
            return missing
        if code == "operators_only":
            raise AccountError(
                "Only operators of the platform may destroy everybody's environments, and you are none.",
                f"Become one with `python -m bootstrap upgrade --platform {self._platform} --region {self._session.region_name} "
                "--operator ARN`, naming those there are, too. Nothing was touched.",
            )
        if status == HTTPStatus.FORBIDDEN:
            raise AccountError(
                f"The platform's API does not let you in: 403 {said}",
                "Give your user or role the permission execute-api:Invoke on it, or sign in again if your credentials have "
                "expired; then run this again.",
            )
        raise BootstrapError(f"The platform's API answered {status} to {method} {path}: {said}", _CLOSED)

    def _asked(self, method: str, path: str) -> tuple[int, Any]:
        """Status and body of one call, tried again while the API is too busy or can't be reached."""
        for pause in _PAUSES_SECONDS:
            try:
                answer = self._http.send(self._signed(method, f"{self._url}{path}"))
            except BotoCoreError as error:
                if not pause:
                    raise BootstrapError(f"The platform's API can't be reached: {error}", _CLOSED) from error
            else:
                if not pause or answer.status_code not in _PASSES:
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
