"""The API's client carries on through what passes by itself: throttling, a busy gateway, a cut connection."""

from __future__ import annotations

import threading
import time
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import ClassVar

import boto3
import pytest

from fibfactory_cli.client import ApiError, Client

CUT = 0
"""Instead of a status: the connection is closed without an answer."""


class Api(BaseHTTPRequestHandler):
    """Answers with these statuses, one after the other, and then 200."""

    statuses: ClassVar[list[int]] = []
    headers_sent: ClassVar[dict[str, str]] = {}
    asked: ClassVar[list[str]] = []

    def _answer(self) -> None:
        self.asked.append(self.command)
        status = self.statuses.pop(0) if self.statuses else 200
        if status == CUT:
            self.close_connection = True
            return
        self.send_response(status)
        for name, value in {**self.headers_sent, "Content-Length": "2"}.items():
            self.send_header(name, value)
        self.end_headers()
        self.wfile.write(b"{}")

    do_GET = do_PUT = do_DELETE = do_POST = _answer  # the names that the base class looks for

    def log_message(self, *_: object) -> None:
        """Print nothing."""


@pytest.fixture
def client() -> Iterator[Client]:
    Api.statuses, Api.headers_sent, Api.asked = [], {}, []
    with ThreadingHTTPServer(("127.0.0.1", 0), Api) as server:
        threading.Thread(target=server.serve_forever, args=(0.02,), daemon=True).start()
        session = boto3.Session("key", "secret", region_name="us-west-2")
        yield Client(f"http://127.0.0.1:{server.server_port}", session)
        server.shutdown()


@pytest.mark.parametrize("method", ["GET", "PUT", "DELETE"])
@pytest.mark.parametrize("status", [429, 502, 503, 504, CUT])
def test_a_call_is_tried_again_after_what_passes(client: Client, method: str, status: int) -> None:
    Api.statuses = [status]
    assert client.call(method, "/environments/test1").status == 200
    assert Api.asked == [method, method]


def test_the_api_says_when_to_try_again(client: Client) -> None:
    Api.statuses, Api.headers_sent = [429], {"Retry-After": "1"}
    began = time.monotonic()
    assert client.call("GET", "/environments").status == 200
    assert time.monotonic() - began >= 1


@pytest.mark.parametrize("status", [429, 503])
def test_a_call_that_may_not_be_carried_out_twice_is_not_tried_again(client: Client, status: int) -> None:
    Api.statuses = [status]
    with pytest.raises(ApiError) as refused:
        client.call("POST", "/sweeps").checked()
    assert refused.value.status == status and Api.asked == ["POST"]


@pytest.mark.parametrize("status", [400, 403, 404, 409, 412, 500])
def test_an_answer_that_would_stay_the_same_is_given_at_once(client: Client, status: int) -> None:
    Api.statuses = [status]
    assert client.call("GET", "/environments/test1").status == status
    assert Api.asked == ["GET"]


def test_an_api_that_is_not_there_is_named_with_the_reason() -> None:
    nowhere = Client("http://127.0.0.1:9", boto3.Session("key", "secret", region_name="us-west-2"))
    with pytest.raises(ApiError, match=r"http://127\.0\.0\.1:9 could not be reached: .*refused"):
        nowhere.call("GET", "/health")
