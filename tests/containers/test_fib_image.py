"""The sample application's image: its responses, its user, and how fast it stops."""

from __future__ import annotations

import json
import time

import pytest
import urllib3

from tests.containers.conftest import Images
from tests.containers.containers import Container, container, docker, free_ports, python
from tests.waiting import eventually


def answer(url: str) -> bytes:
    """The response, as soon as the application listens."""
    return urllib3.request(
        "GET", url, retries=urllib3.Retry(total=None, connect=50, backoff_factor=0.02, backoff_max=0.2)
    ).data


def health_of(running: Container) -> str:
    return str(running.inspect()["State"]["Health"]["Status"])


def test_it_answers_on_the_given_port_and_its_health_check_passes(images: Images) -> None:
    port, _ = free_ports()
    with container(images.fibservice, options=("--network", "host"), environment={"PORT": str(port)}) as running:
        assert json.loads(answer(f"http://127.0.0.1:{port}/fib/20")) == {"fib": 6765, "n": 20}
        eventually(lambda: health_of(running) != "starting", seconds=30)
        assert health_of(running) == "healthy"


def test_its_health_check_fails_if_nothing_answers(images: Images) -> None:
    options = ("--network", "none", "--entrypoint", "python")
    with container(images.fibservice, "-c", "import time; time.sleep(60)", options=options) as running:
        check = running.inspect()["Config"]["Healthcheck"]["Test"]
        with pytest.raises(AssertionError, match="Connection refused"):
            running.run(*check[1:])


def test_it_listens_on_8080_by_default(images: Images) -> None:
    with container(
        images.fibservice,
        options=(
            "--network",
            "none",
        ),
    ) as running:
        program = "from urllib.request import urlopen; print(urlopen('http://127.0.0.1:8080/fib/20').read())"
        eventually(lambda: "listens" in running.logs(), seconds=10)
        assert "6765" in running.run("python", "-c", program)


def test_it_stops_within_a_second(images: Images) -> None:
    port, _ = free_ports()
    with container(images.fibservice, options=("--network", "host"), environment={"PORT": str(port)}) as running:
        answer(f"http://127.0.0.1:{port}/health")
        started = time.monotonic()
        docker("stop", running.id)
        assert time.monotonic() - started < 1
        assert running.inspect()["State"]["ExitCode"] == 0


def test_it_runs_on_a_read_only_disk_as_an_unprivileged_user(images: Images) -> None:
    port, _ = free_ports()
    options = ("--network", "host", "--read-only")
    with container(images.fibservice, options=options, environment={"PORT": str(port)}) as running:
        assert json.loads(answer(f"http://127.0.0.1:{port}/health")) == {"status": "healthy"}
        assert running.run("id", "-u") == "65534"


def test_it_is_for_amd64_and_contains_no_installer(images: Images) -> None:
    assert docker("image", "inspect", "--format", "{{.Os}}/{{.Architecture}}", images.fibservice) == "linux/amd64"
    assert python(
        images.fibservice, "import importlib.util as u; print(u.find_spec('pip'), u.find_spec('ensurepip'))"
    ) == ("None None")
