"""The proxy: one loopback port for all of AWS, in the process that arms the faults.

    with serve(cloud.endpoint_url, cloud.apprunner_url) as proxy:
        proxy.arm(Fault(Match("dynamodb", "TransactWriteItems"), cut))
        boto3.client("dynamodb", endpoint_url=proxy.url)

Rule: a forwarded request arrives exactly once and as it was sent (the signature covers the Host header, so that is passed
on too); a call that is cut gets no byte of an answer. `serve` returns with no thread and no connection left.
"""

from __future__ import annotations

import http.client
import json
import threading
from collections import deque
from collections.abc import Iterator
from contextlib import closing, contextmanager, suppress
from email.message import Message
from functools import cached_property
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any
from urllib.parse import urlsplit
from xml.sax.saxutils import escape

from localcloud.faults.calls import Call, read_call
from localcloud.faults.faults import Faults, Moment, Refusal
from localcloud.provider.caller import caller_at
from localcloud.provider.errors import ProviderError
from localcloud.settings import HOST

_REMEMBERED = 100_000
_UPSTREAM_SECONDS = 120.0
_OF_ONE_HOP = frozenset({"connection", "keep-alive", "transfer-encoding", "expect", "content-length"})
_APP_RUNNER = ("apprunner", "tagging")
_QUERY_PROTOCOL = ("iam", "sts")


class Proxy(Faults):
    """The running proxy: its URL, the calls it received, and the armed faults."""

    def __init__(self, url: str, everything: str, apprunner: str) -> None:
        super().__init__()
        self.url = url
        self._calls: deque[Call] = deque(maxlen=_REMEMBERED)
        self._everything = urlsplit(everything).netloc
        self._apprunner = urlsplit(apprunner).netloc

    @property
    def calls(self) -> list[Call]:
        """The calls received, passed on or not, in the order of arrival."""
        return list(self._calls)

    def remember(self, call: Call) -> None:
        self._calls.append(call)

    def upstream(self, call: Call) -> str:
        """Host and port of the part of the cloud that serves the call."""
        return self._apprunner if call.service in _APP_RUNNER else self._everything


@contextmanager
def serve(everything: str, apprunner: str) -> Iterator[Proxy]:
    """Serve in front of these two URLs until the block is left."""
    with _Server((HOST, 0), _Handler) as server:
        server.proxy = Proxy(f"http://{HOST}:{server.server_address[1]}", everything, apprunner)
        thread = threading.Thread(target=server.serve_forever, args=(0.1,), name="fault proxy", daemon=True)
        thread.start()
        try:
            yield server.proxy
        finally:
            server.shutdown()
            thread.join()
            server.cut_all()


class _Server(ThreadingHTTPServer):
    proxy: Proxy
    daemon_threads = True
    request_queue_size = 128

    def __init__(self, *arguments: Any) -> None:
        super().__init__(*arguments)
        self._open: set[Any] = set()
        self._lock = threading.Lock()

    def process_request(self, request: Any, client_address: Any) -> None:
        with self._lock:
            self._open.add(request)
        super().process_request(request, client_address)

    def shutdown_request(self, request: Any) -> None:
        with self._lock:
            self._open.discard(request)
        super().shutdown_request(request)

    def cut_all(self) -> None:
        """Close the connections that clients keep open."""
        with self._lock:
            left = list(self._open)
        for request in left:
            with suppress(OSError):
                request.shutdown(2)

    def handle_error(self, request: Any, client_address: Any) -> None:
        """Ignore it: clients that are killed in the middle of a call are what this proxy is for."""


class _Handler(BaseHTTPRequestHandler):
    server: _Server
    protocol_version = "HTTP/1.1"
    disable_nagle_algorithm = True
    wbufsize = -1

    @cached_property
    def _client_pid(self) -> int | None:
        """The calling process, None when it has ended or cannot be seen. Slow: it reads every process's open files."""
        host, port = self.client_address
        try:
            return caller_at(f"ipv4:{host}:{port}", self.server.server_address[1]).pid
        except ProviderError:
            return None

    def do_any(self) -> None:
        """Pass the call on, unless a fault happens to it."""
        body = self._body()
        call = read_call(self.command, self.path, self.headers, body, lambda: self._client_pid)
        proxy = self.server.proxy
        armed = proxy.take(call)
        outcome = armed.happens_at(Moment.BEFORE, call) if armed else None
        if outcome is None:
            try:
                answer = self._forwarded(proxy.upstream(call), body)
            except (OSError, http.client.HTTPException):
                self.close_connection = True
                return
        proxy.remember(call)
        if outcome is None:
            outcome = armed.happens_at(Moment.AFTER, call) if armed else None
        if isinstance(outcome, Refusal):
            self._answer(outcome.status, *_refused(call, outcome))
        elif outcome:
            self.close_connection = True
        else:
            self._answer(*answer)

    do_GET = do_HEAD = do_POST = do_PUT = do_DELETE = do_PATCH = do_OPTIONS = do_any

    def _body(self) -> bytes:
        if self.headers.get("Transfer-Encoding", "").lower() != "chunked":
            return self.rfile.read(int(self.headers.get("Content-Length") or 0))
        parts = []
        while size := int(self.rfile.readline().partition(b";")[0], 16):
            parts.append(self.rfile.read(size))
            self.rfile.readline()
        while self.rfile.readline().strip():
            pass  # trailers
        return b"".join(parts)

    def _forwarded(self, upstream: str, body: bytes) -> tuple[int, Message, bytes]:
        # A connection for each call: one that is kept may be closed by the other end just when a call is sent, and then
        # it is unknown whether that call took effect.
        with closing(http.client.HTTPConnection(upstream, timeout=_UPSTREAM_SECONDS)) as connection:
            connection.putrequest(self.command, self.path, skip_host=True, skip_accept_encoding=True)
            for name, value in self.headers.items():
                if name.lower() not in _OF_ONE_HOP:
                    connection.putheader(name, value)
            if body or "Content-Length" in self.headers:
                connection.putheader("Content-Length", str(len(body)))
            connection.endheaders(body)
            answer = connection.getresponse()
            return answer.status, answer.headers, answer.read()

    def _answer(self, status: int, headers: Message, body: bytes) -> None:
        self.send_response_only(status)
        for name, value in headers.items():
            if name.lower() not in _OF_ONE_HOP:
                self.send_header(name, value)
        announced = headers.get("Content-Length") if self.command == "HEAD" else None
        if status != 204:
            self.send_header("Content-Length", announced or str(len(body)))
        self.end_headers()
        if self.command != "HEAD":
            self.wfile.write(body)
        self.wfile.flush()


def _refused(call: Call, refusal: Refusal) -> tuple[Message, bytes]:
    """The error in the service's protocol."""
    headers = Message()
    error = f"<Error><Code>{escape(refusal.code)}</Code><Message>{escape(refusal.message)}</Message></Error>"
    if call.service == "s3":
        headers["Content-Type"] = "application/xml"
        return headers, error.encode()
    if call.service in _QUERY_PROTOCOL:
        headers["Content-Type"] = "text/xml"
        return headers, f"<ErrorResponse>{error}</ErrorResponse>".encode()
    headers["Content-Type"] = "application/x-amz-json-1.0"
    headers["X-Amzn-ErrorType"] = refusal.code
    return headers, json.dumps({"__type": refusal.code, "message": refusal.message}).encode()
