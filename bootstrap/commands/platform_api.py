"""The platform's own HTTP API, called with the operator's credentials.

The rule: "not found" counts only with the platform's own error code, because API Gateway answers the same for a closed API.
"""

from __future__ import annotations

import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from http import HTTPStatus
from typing import Any

import boto3

from bootstrap.errors import AccountError, BootstrapError, explained
from fibfactory_cli.client import Answer, ApiError, Client

_PAUSES_SECONDS = (1, 2, 4, 8, 0)
"""The pause after each attempt; 0 after the last one."""
_TRANSIENT = {429, 500, 502, 503, 504}
_CLOSED = "If an earlier destroy closed it, `python -m bootstrap upgrade` opens it again; then run this again."


class PlatformApi(Client):
    """What a teardown needs of one platform's API.

    Raises AccountError if the caller lacks permission, BootstrapError if the API does not answer.
    """

    def __init__(self, platform: str, url: str, session: boto3.Session) -> None:
        super().__init__(url, session, session.region_name)
        self._platform = platform

    def check_operator(self) -> None:
        """Raises AccountError unless the caller is an operator of the platform: others see only their own environments."""
        # A route for operators that changes nothing; the answer to operators is that there is no such sweep.
        with self._explained("GET /sweeps/none"):
            try:
                self.call("GET", "/sweeps/none").checked()
            except ApiError as error:
                if error.code != "not_found":
                    raise

    def remove(self, environment_id: str) -> Mapping[str, Any]:
        """Request an environment's removal, even of a protected one; returns its record."""
        return self._record("DELETE", environment_id, {"force": "true"})

    def environment(self, environment_id: str) -> Mapping[str, Any]:
        """An environment's record, read consistently."""
        return self._record("GET", environment_id)

    def statuses(self) -> Mapping[str, str]:
        """Each environment's status. It may lag; `environment` does not."""
        with self._explained("GET /environments"):
            return {found["id"]: found["status"] for found in self.environments(limit=100)}

    def call(self, *request: Any, **more: Any) -> Answer:
        """One call, which is repeated while the API is too busy or can't be reached."""
        for pause in _PAUSES_SECONDS:
            try:
                with explained("sign a request to the platform's API"):
                    answer = super().call(*request, **more)
                if not pause or answer.status not in _TRANSIENT:
                    break
            except ApiError as error:
                if not pause or error.code != "unreachable":
                    raise
            time.sleep(pause)
        return answer

    def _record(self, method: str, environment_id: str, query: Mapping[str, str] | None = None) -> Mapping[str, Any]:
        path = f"/environments/{environment_id}"
        with self._explained(f"{method} {path}"):
            return dict(self.call(method, path, query=query).checked().body)

    @contextmanager
    def _explained(self, request: str) -> Iterator[None]:
        """Say what to do about the client's errors."""
        try:
            yield
        except ApiError as error:
            if error.code == "operators_only":
                raise AccountError(
                    "Only operators of the platform can destroy all environments, and you are not one of them.",
                    f"Become one with `python -m bootstrap upgrade --platform {self._platform} --region {self._region} "
                    "--operator ARN`, with one --operator for each existing one, too. Nothing was changed.",
                ) from error
            if error.status == HTTPStatus.FORBIDDEN:
                raise AccountError(
                    f"The platform's API refuses your credentials: 403 {error}",
                    "Give your user or role the permission execute-api:Invoke on it, or sign in again if your credentials have "
                    "expired; then run this again.",
                ) from error
            answered = f"answered {error.status} to {request}" if error.status else "can't be called"
            raise BootstrapError(f"The platform's API {answered}: {error}", _CLOSED) from error
