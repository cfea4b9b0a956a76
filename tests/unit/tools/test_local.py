"""The file that a user's shell sources after `make up`, and a Ctrl-C while the cloud starts."""

from __future__ import annotations

import signal
import subprocess
from pathlib import Path

import pytest

from tools.local import LocalState, as_shell, ctrl_c_held_back
from tools.platform_on_localcloud import clean_environment


def test_a_shell_that_sources_the_file_has_exactly_these_values(tmp_path: Path) -> None:
    state = LocalState(tmp_path)
    odd = 'it\'s $HOME `x` "y" \\ &?*'
    state.write_env(
        {"FIBFACTORY_API_URL": "http://127.0.0.1:4566/a?b=c&d", "ODD": odd, "PATH": "/not/this"},
        ["/pulumi dir", "/venv"],
    )

    script = f'. {state.env}; printf "%s\\n" "$FIBFACTORY_API_URL" "$ODD" "$PATH" "${{AWS_PROFILE-unset}}"'
    out = subprocess.run(
        ["/bin/sh", "-c", script],
        env={"PATH": "/usr/bin:/bin", "AWS_PROFILE": "work"},
        check=True,
        capture_output=True,
        text=True,
    ).stdout
    assert out.splitlines() == ["http://127.0.0.1:4566/a?b=c&d", odd, "/pulumi dir:/venv:/usr/bin:/bin", "unset"]


def test_the_file_becomes_readable_by_its_owner_only(tmp_path: Path) -> None:
    state = LocalState(tmp_path)
    state.env.touch(mode=0o644)
    state.write_env({"AWS_SECRET_ACCESS_KEY": "secret"}, [])
    assert state.env.stat().st_mode & 0o777 == 0o600


def test_every_variable_is_exported() -> None:
    lines = as_shell({"A": "1", "B": "2"}, ["/bin"]).splitlines()
    assert [line for line in lines if line.startswith("export ")] == [
        "export A=1",
        "export B=2",
        'export PATH=/bin:"$PATH"',
    ]


def test_a_clean_environment_points_to_no_other_cloud() -> None:
    mine = {"HOME": "/home/me", "AWS_PROFILE": "work", "PULUMI_ACCESS_TOKEN": "x", "FIBFACTORY_API_URL": "https://real"}
    assert clean_environment(mine) == {"HOME": "/home/me"}


def test_a_ctrl_c_while_something_starts_takes_effect_once_it_is_known() -> None:
    started = []
    with pytest.raises(KeyboardInterrupt), ctrl_c_held_back():
        signal.raise_signal(signal.SIGINT)
        started.append("the supervisor")
    assert started
    with pytest.raises(KeyboardInterrupt):
        signal.raise_signal(signal.SIGINT)
