"""The process at the other end of a connection: its environment and its folder."""

from __future__ import annotations

import json
import os
import socket
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from localcloud.provider.caller import Caller, caller_at
from localcloud.provider.clients import access_of
from localcloud.provider.errors import ProviderError

_CONNECT = (
    "import socket, sys; s = socket.create_connection(('127.0.0.1', int(sys.argv[1]))); s.sendall(b'x'); s.recv(1)"
)

_CONNECT_FROM = (
    "import socket, sys; s = socket.socket(); s.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1);"
    " s.bind(('127.0.0.1', int(sys.argv[2]))); s.connect(('127.0.0.1', int(sys.argv[1]))); s.recv(1)"
)


@contextmanager
def connected(folder: Path, environment: dict[str, str]) -> Iterator[Caller]:
    """The caller found for a new process that has connected."""
    with socket.create_server(("127.0.0.1", 0)) as server:
        port = server.getsockname()[1]
        with subprocess.Popen([sys.executable, "-c", _CONNECT, str(port)], cwd=folder, env=environment) as child:
            connection, address = server.accept()
            with connection:
                connection.recv(1)
                found = caller_at(f"ipv4:127.0.0.1:{address[1]}", port)
                assert found.pid == child.pid
                yield found
                connection.sendall(b"x")


def test_each_connection_leads_to_its_own_process(tmp_path: Path) -> None:
    one = {"AWS_ACCESS_KEY_ID": "ONE", "AWS_SECRET_ACCESS_KEY": "s1", "AWS_REGION": "us-west-2"}
    two = {"AWS_ACCESS_KEY_ID": "TWO", "AWS_SECRET_ACCESS_KEY": "s2", "AWS_DEFAULT_REGION": "eu-west-1"}
    two["AWS_SESSION_TOKEN"] = "token"
    with connected(tmp_path, one) as first, connected(tmp_path, two) as second:
        ours, theirs = access_of(first.environment, {}), access_of(second.environment, {})
    assert (ours.access_key, ours.secret_key, ours.token, ours.region) == ("ONE", "s1", None, "us-west-2")
    assert (theirs.access_key, theirs.secret_key, theirs.token, theirs.region) == ("TWO", "s2", "token", "eu-west-1")
    assert "s1" not in repr(ours) + repr(first), "secrets are not printed"


@pytest.mark.parametrize("name", ["Pulumi.yaml", "Pulumi.json"])
def test_relative_paths_start_in_the_main_folder_of_the_project_file(tmp_path: Path, name: str) -> None:
    (tmp_path / "program").mkdir()
    project = {"name": "inline", "runtime": "python", "main": str(tmp_path / "program")}
    (tmp_path / name).write_text(json.dumps(project))
    with connected(tmp_path, {}) as caller:
        assert caller.folder == tmp_path / "program"


def test_without_a_project_file_relative_paths_start_in_the_callers_folder(tmp_path: Path) -> None:
    with connected(tmp_path, {}) as caller:
        assert caller.folder == tmp_path


@pytest.mark.parametrize("peer", ["ipv4:10.0.0.1:5000", "unix:/tmp/socket", "ipv4:127.0.0.1:1"])
def test_a_peer_that_is_no_process_of_this_machine_is_refused(peer: str) -> None:
    with pytest.raises(ProviderError):
        caller_at(peer, 1)


def test_of_two_connections_from_one_local_port_the_one_to_the_server_counts() -> None:
    """Linux reuses a local port for another destination, so that the port alone does not identify a process."""
    with (
        socket.create_server(("127.0.0.1", 0)) as one,
        socket.create_server(("127.0.0.1", 0)) as two,
        socket.socket() as ours,
    ):
        ours.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        ours.bind(("127.0.0.1", 0))
        ours.connect(one.getsockname())
        local = ours.getsockname()[1]
        two.settimeout(30)
        with subprocess.Popen([sys.executable, "-c", _CONNECT_FROM, str(two.getsockname()[1]), str(local)]) as child:
            theirs, address = two.accept()
            with theirs:
                assert address[1] == local
                assert caller_at(f"ipv4:127.0.0.1:{local}", one.getsockname()[1]).pid == os.getpid()
                assert caller_at(f"ipv4:127.0.0.1:{local}", two.getsockname()[1]).pid == child.pid
                theirs.sendall(b"x")
