"""`python -m fibservice` as a process: how it starts, answers, fails to start and ends."""

from __future__ import annotations

import re
import signal
import socket
import subprocess
import sys
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from pathlib import Path
from urllib.request import urlopen

import psutil
import pytest

CHECKOUT = Path(__file__).resolve().parents[2]
LIMIT_SECONDS = 30


def start(**environ: str) -> subprocess.Popen[str]:
    return subprocess.Popen(
        [sys.executable, "-m", "fibservice"],
        cwd=CHECKOUT, env=environ, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True,
    )  # fmt: skip


@contextmanager
def serving() -> Iterator[tuple[subprocess.Popen[str], str]]:
    """A server on a free port, and its address from the line that it prints when it listens."""
    with start(HOST="127.0.0.1", PORT="0") as server:
        try:
            assert server.stdout is not None
            found = re.search(r"http://127\.0\.0\.1:\d+", server.stdout.readline())
            assert found, "no address was printed"
            yield server, found.group()
        finally:
            server.kill()


def result_of(process: subprocess.Popen[str]) -> tuple[int, str]:
    """Wait for a process; returns its exit code and standard error."""
    _, errors = process.communicate(timeout=LIMIT_SECONDS)
    return process.returncode, errors


def get(url: str) -> str:
    with urlopen(url, timeout=LIMIT_SECONDS) as response:
        return str(response.read().decode())


def test_it_answers_on_the_port_it_prints() -> None:
    with serving() as (_, address):
        assert get(f"{address}/health") == '{"status":"healthy"}\n'
        assert get(f"{address}/fib/20") == '{"fib":6765,"n":20}\n'


def test_it_answers_many_concurrent_requests_without_output() -> None:
    with serving() as (server, address), ThreadPoolExecutor(16) as pool:
        answers = list(pool.map(get, [f"{address}/fib/{n}" for n in range(100)]))
        server.send_signal(signal.SIGTERM)
        assert result_of(server) == (0, "")
    assert answers[20] == '{"fib":6765,"n":20}\n'
    assert len(set(answers)) == 100


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_a_signal_ends_it_cleanly_and_without_output(number: signal.Signals) -> None:
    with serving() as (server, address):
        get(f"{address}/health")
        server.send_signal(number)
        assert result_of(server) == (0, "")


def test_with_a_loopback_host_it_listens_nowhere_else() -> None:
    with serving() as (server, address):
        listening = [each.laddr for each in psutil.Process(server.pid).net_connections() if each.status == "LISTEN"]
    assert [f"http://{each.ip}:{each.port}" for each in listening] == [address]


def test_a_bad_port_ends_it_with_a_one_sentence_error() -> None:
    code, errors = result_of(start(PORT="eighty"))
    assert code == 2
    assert errors == "fibservice: PORT must be a number from 0 to 65535; it is 'eighty'.\n"


def test_a_taken_port_ends_it_with_a_one_sentence_error() -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        code, errors = result_of(start(HOST="127.0.0.1", PORT=str(port)))
    assert code == 2
    assert re.fullmatch(rf"fibservice: Can't listen on 127\.0\.0\.1 port {port}: [^\n]+; set HOST or PORT\.\n", errors)
