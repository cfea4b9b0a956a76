"""One call to AWS, read from its request alone: the service, the operation, the target, and whether it changes anything.

It is read by the protocols of AWS's own clients (X-Amz-Target, S3's methods and sub-resources, Lambda's paths). Any
other request is named by its method and path.
"""

from __future__ import annotations

import re
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from email.message import Message
from urllib.parse import parse_qs, unquote, urlsplit

import psutil

_SCOPE = re.compile(r"Credential=[^/,\s]+/\d{8}/[a-z0-9-]+/(?P<service>[a-z0-9-]+)/aws4_request")
_INVOKE = re.compile(r"/2015-03-31/functions/(?P<function>[^/]+)/invocations")
_READS = re.compile(r"(BatchGet|Decrypt|Describe|Encrypt|GenerateDataKey|Get|Head|List|Query|Scan)")


@dataclass(frozen=True)
class Call:
    """A request. `target` is S3's key, Lambda's function, or empty; `client` finds the caller's process id."""

    service: str
    operation: str
    target: str
    body: bytes = field(repr=False)
    client: Callable[[], int | None] = field(repr=False, compare=False)
    at: float = field(default_factory=time.time, compare=False)

    @property
    def changes(self) -> bool:
        """Whether the operation changes something."""
        return not _READS.match(self.operation)

    def mentions(self, text: str) -> bool:
        """Whether its target or its body contains this text."""
        return text in self.target or text.encode() in self.body


def command_line(pid: int | None) -> str:
    """The process's command line; empty when it has ended."""
    try:
        return " ".join(psutil.Process(pid).cmdline()) if pid else ""
    except psutil.Error:
        return ""


def read_call(method: str, path: str, headers: Message, body: bytes, client: Callable[[], int | None]) -> Call:
    """The call that a request makes."""
    scope = _SCOPE.search(headers.get("Authorization", ""))
    service = scope["service"] if scope else ""
    named = headers.get("X-Amz-Target")
    invoke = _INVOKE.match(unquote(path))
    if named:
        operation, target = named.rpartition(".")[2], ""
    elif service == "s3":
        operation, target = _s3_call(method, path, headers)
    elif invoke:
        operation, target = "Invoke", invoke["function"]
    else:
        operation, target = method.capitalize(), urlsplit(path).path
    return Call(service, operation, target, body, client)


def _s3_call(method: str, path: str, headers: Message) -> tuple[str, str]:
    """S3's operation and key, from a path-style address: the operations that Pulumi's CLI and its callers use."""
    url = urlsplit(path)
    query = parse_qs(url.query, keep_blank_values=True)
    _, _, key = unquote(url.path).lstrip("/").partition("/")
    if not key:
        if method == "GET":
            return "ListObjectsV2", query.get("prefix", [""])[0]
        return "DeleteObjects" if "delete" in query else f"{method.capitalize()}Bucket", ""
    if method == "PUT" and headers.get("x-amz-copy-source"):
        return "CopyObject", key
    return f"{method.capitalize()}Object", key
