"""Ports and programs that a local cloud finds before it starts."""

from __future__ import annotations

import socket
from pathlib import Path

import pytest

from localcloud.errors import PortTaken
from localcloud.settings import Ports, find_pulumi_bin, port_is_free


def program(folder: Path) -> Path:
    """A folder with an executable named pulumi."""
    folder.mkdir(parents=True)
    (folder / "pulumi").write_text("#!/bin/sh\n")
    (folder / "pulumi").chmod(0o755)
    return folder


def test_ports_from_a_base_are_three_in_a_row() -> None:
    assert Ports.from_base(4566) == Ports(ministack=4566, apprunner=4567, provider=4568)


def test_free_ports_are_free_and_differ() -> None:
    ports = Ports.free()
    assert len({ports.ministack, ports.apprunner, ports.provider}) == 3
    ports.refuse_taken()


def test_a_port_with_a_listener_is_refused_by_number() -> None:
    ports = Ports.free()
    with socket.create_server(("127.0.0.1", ports.provider)):
        assert not port_is_free(ports.provider)
        with pytest.raises(PortTaken) as taken:
            ports.refuse_taken()
    assert taken.value.port == ports.provider


def test_the_pulumi_cli_on_the_path_comes_first(tmp_path: Path) -> None:
    on_path = program(tmp_path / "bin")
    program(tmp_path / "cache/fibfactory/pulumi/3.250.0-without-cgo/bin")
    assert find_pulumi_bin({"PATH": str(on_path), "XDG_CACHE_HOME": str(tmp_path / "cache")}) == on_path


def test_the_cached_pulumi_cli_is_found_without_one_on_the_path(tmp_path: Path) -> None:
    cached = program(tmp_path / "cache/fibfactory/pulumi/3.250.0-without-cgo/bin")
    assert find_pulumi_bin({"PATH": str(tmp_path), "XDG_CACHE_HOME": str(tmp_path / "cache")}) == cached


def test_without_a_pulumi_cli_there_is_no_folder(tmp_path: Path) -> None:
    assert find_pulumi_bin({"PATH": str(tmp_path), "XDG_CACHE_HOME": str(tmp_path)}) is None
