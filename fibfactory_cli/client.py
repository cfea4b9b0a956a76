"""The HTTP API's client: it signs with the caller's AWS credentials, waits for operations, and reports errors in one sentence.

The rule: it depends on the API's contract only.
"""

from __future__ import annotations

import json
import os
import time
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any
from urllib.parse import quote, urlencode

import boto3
import urllib3
from botocore.auth import SigV4Auth
from botocore.awsrequest import AWSRequest
from botocore.exceptions import BotoCoreError

BUSY = frozenset({"pending", "deploying", "updating", "pausing", "resuming", "destroying"})
"""The statuses of environments with an operation under way."""


_RETRIES = urllib3.Retry(
    total=5,
    connect=2,
    read=1,
    allowed_methods={"GET", "PUT", "DELETE"},
    status_forcelist={429, 502, 503, 504},
    raise_on_status=False,
    redirect=False,
    backoff_factor=0.5,
    backoff_jitter=0.5,
    retry_after_max=30,
)
"""For what passes: throttling, a busy gateway, a cut connection. Only for calls that may be carried out twice. `Retry-After` is
honoured up to half a minute each time, so that the signature, which AWS accepts for five minutes, still counts."""


class ApiError(Exception):
    """The API refused, or did not answer. `code` is the problem's code; `status` is 0 when there was no answer."""

    def __init__(self, status: int, code: str, message: str) -> None:
        super().__init__(message)
        self.status = status
        self.code = code


@dataclass(frozen=True)
class Answer:
    """The answer to one call, and how many seconds it took."""

    status: int
    headers: Mapping[str, str]
    body: Any
    seconds: float

    def checked(self) -> Answer:
        """This answer. Raises ApiError with the problem's code and message if it is an error."""
        if self.status < 400:
            return self
        problem = self.body if isinstance(self.body, dict) else {}
        message = problem.get("detail") or problem.get("message") or f"The API answered {self.status}."
        raise ApiError(self.status, problem.get("code", "refused"), message)


class Client:
    """Calls one API with one session's credentials, signed for `region`, or for AWS_REGION or else the session's."""

    def __init__(self, url: str, session: boto3.Session | None = None, region: str | None = None) -> None:
        self._url = url.rstrip("/")
        self._session = session or boto3.Session()
        # boto3 itself reads AWS_DEFAULT_REGION only.
        self._region = region or os.environ.get("AWS_REGION") or self._session.region_name
        self._pool = urllib3.PoolManager(retries=_RETRIES, timeout=urllib3.Timeout(connect=5, read=35))

    def call(
        self,
        method: str,
        path: str,
        body: Any = None,
        query: Mapping[str, Any] | None = None,
        headers: Mapping[str, str] | None = None,
        *,
        signed: bool = True,
    ) -> Answer:
        """One call. `body` is sent as JSON, or unchanged if it is bytes. Raises ApiError if there is no answer."""
        data = body if isinstance(body, bytes) else b"" if body is None else json.dumps(body).encode()
        url = f"{self._url}{quote(path)}" + (f"?{urlencode(query, doseq=True, quote_via=quote)}" if query else "")
        request = AWSRequest(method, url, {"Content-Type": "application/json", **(headers or {})}, data)
        if signed:
            self._sign(request)
        started = time.monotonic()
        try:
            answer = self._pool.request(method, url, body=data, headers=dict(request.headers))
        except urllib3.exceptions.HTTPError as error:
            reason = error.reason if isinstance(error, urllib3.exceptions.MaxRetryError) else error
            raise ApiError(0, "unreachable", f"{self._url} could not be reached: {reason}") from error
        return Answer(answer.status, dict(answer.headers), _parsed(answer.data), time.monotonic() - started)

    def follow(
        self, environment_id: str, *, timeout_seconds: float = 1800, on_change: Callable[[Any], None] | None = None
    ) -> Any:
        """Wait until the environment stops changing by itself; returns its record."""
        give_up = time.monotonic() + timeout_seconds
        record = self.call("GET", f"/environments/{environment_id}").checked().body
        while record["status"] in BUSY:
            if on_change:
                on_change(record)
            if time.monotonic() >= give_up:
                raise ApiError(0, "timeout", f"{environment_id} is still {record['status']}. Look again later.")
            query = {"wait": 20, "version": record["version"]}
            record = self.call("GET", f"/environments/{environment_id}", query=query).checked().body
        return record

    def environments(self, **filters: Any) -> Iterator[Any]:
        """All environments that match the filters, from all pages."""
        cursor: str | None = None
        while True:
            query = {**filters, **({"cursor": cursor} if cursor else {})}
            page = self.call("GET", "/environments", query=query).checked().body
            yield from page["environments"]
            cursor = page["cursor"]
            if cursor is None:
                return

    def events(self, environment_id: str, cursor: str | None = None, *, wait: int = 0) -> tuple[list[Any], str | None]:
        """The events after the cursor, for the first of which it waits so many seconds, and the cursor for the next call."""
        found: list[Any] = []
        while True:
            query = {"limit": 100, "wait": 0 if found else wait, **({"cursor": cursor} if cursor else {})}
            page = self.call("GET", f"/environments/{environment_id}/events", query=query).checked().body
            found += page["events"]
            cursor = page["cursor"]
            if not page["events"]:
                return found, cursor

    def _sign(self, request: AWSRequest) -> None:
        try:
            credentials = self._session.get_credentials()
        except BotoCoreError as error:
            raise ApiError(0, "no_credentials", f"There are no usable AWS credentials: {error}") from error
        if credentials is None:
            raise ApiError(0, "no_credentials", "There are no AWS credentials. Set AWS_PROFILE or AWS_ACCESS_KEY_ID.")
        if not self._region:
            raise ApiError(0, "no_region", "There is no AWS region. Set AWS_REGION.")
        SigV4Auth(credentials.get_frozen_credentials(), "execute-api", self._region).add_auth(request)


def _parsed(data: bytes) -> Any:
    try:
        return json.loads(data)
    except ValueError:
        return data.decode(errors="replace")
