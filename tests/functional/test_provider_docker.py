"""Docker's images through the real engine, as in the original script: the commands the CLI gets, and its errors.

Builds by a daemon are in tests/containers.
"""

from __future__ import annotations

import json
import os
import shutil
import sys
from pathlib import Path

import pulumi
import pulumi_docker as docker
import pytest
from pulumi import automation as auto

from tests.functional.provider_programs import WARNINGS_OF_THE_SDK, Workspace, changes, drift, provider

pytest_plugins = ("tests.functional.provider_fixtures",)
pytestmark = WARNINGS_OF_THE_SDK

NAME = "127.0.0.1:1/fibfactory/fibservice:app"

# Stands for the docker CLI: writes down its arguments and input, and prints what a push prints.
_RECORDER = """#!{python}
import json, os, sys
with open({calls!r}, "a") as calls:
    calls.write(json.dumps([sys.argv[1:], os.getcwd(), sys.stdin.read()]) + "\\n")
if "push" in sys.argv:
    print("app: digest: sha256:" + "a" * 64 + " size: 528")
"""


@pytest.fixture
def calls(workspace: Workspace, tmp_path: Path) -> Path:
    """Put the CLI's stand-in on the engine's PATH; the file that it writes."""
    folder = tmp_path / "recorder"
    folder.mkdir()
    (folder / "docker").write_text(_RECORDER.format(python=sys.executable, calls=str(folder / "calls")))
    (folder / "docker").chmod(0o755)
    workspace.environment["PATH"] = f"{folder}{os.pathsep}{workspace.environment['PATH']}"
    return folder / "calls"


def image(context: Path, name: str = NAME, *, password: str = "") -> None:
    registry = {"server": "127.0.0.1:1", "username": "me", "password": pulumi.Output.secret(password)}
    made = docker.Image(
        "app-image",
        build=docker.DockerBuildArgs(context=str(context), platform="Linux/amd64", args={"VERSION": "1"}),
        image_name=name,
        registry=registry if password else {"server": "127.0.0.1:1"},
        # As in the original script: the AWS provider is given, and Pulumi leaves it out for another package.
        opts=provider(),
    )
    for output in ("base_image_name", "image_name", "registry_server", "repo_digest"):
        pulumi.export(output, getattr(made, output))


def verbs(calls: Path) -> list[str]:
    commands = [json.loads(line)[0] for line in calls.read_text().splitlines()]
    return [next(word for word in words if not word.startswith(("-", "/"))) for words in commands]


def test_an_image_is_built_and_pushed_once_and_again_when_its_context_changes(
    workspace: Workspace, context: Path, calls: Path
) -> None:
    made = workspace.up("image", lambda: image(context))
    assert verbs(calls) == ["build", "push"]
    built, folder, _ = json.loads(calls.read_text().splitlines()[0])
    assert built == ["build", "--tag", NAME, "--platform", "linux/amd64", "--build-arg", "VERSION=1", str(context)]
    assert folder == os.getcwd(), "relative paths of an inline program start in the program's folder"
    assert {name: output.value for name, output in made.outputs.items()} == {
        "base_image_name": NAME,
        "image_name": NAME,
        "registry_server": "127.0.0.1:1",
        "repo_digest": "127.0.0.1:1/fibfactory/fibservice@sha256:" + "a" * 64,
    }

    assert changes(workspace.up("image", lambda: image(context))) == {}
    assert drift(workspace, "image") == {}
    assert verbs(calls) == ["build", "push"]

    (context / "app.txt").write_text("two")
    assert changes(workspace.up("image", lambda: image(context))) == {"update": 1}
    assert verbs(calls) == ["build", "push", "build", "push"]
    assert changes(workspace.up("image", lambda: image(context, NAME + "2"))) == {"replace": 1}


def test_a_login_to_a_registry_has_its_own_configuration_and_no_password_on_a_command_line(
    workspace: Workspace, context: Path, calls: Path
) -> None:
    workspace.up("login", lambda: image(context, password="pass-word"))
    commands = [json.loads(line) for line in calls.read_text().splitlines()]
    login = next(words for words, _, _ in commands if "login" in words)
    assert login[-3:] == ["me", "--password-stdin", "127.0.0.1:1"]
    assert not Path(login[1]).exists(), "the configuration with the login is gone"
    assert [entered for words, _, entered in commands if "login" in words] == ["pass-word"]
    assert not any("pass-word" in word for words, _, _ in commands for word in words)
    assert "pass-word" not in workspace.checkpoint("login")


def test_a_new_password_for_the_registry_is_no_change(workspace: Workspace, context: Path, calls: Path) -> None:
    workspace.up("token", lambda: image(context, password="today's"))
    assert changes(workspace.up("token", lambda: image(context, password="tomorrow's"))) == {}
    assert verbs(calls).count("push") == 1


def test_without_a_daemon_the_error_is_dockers(workspace: Workspace, context: Path) -> None:
    if shutil.which("docker") is None:
        pytest.skip("no docker CLI on PATH")
    workspace.environment["DOCKER_HOST"] = "tcp://127.0.0.1:1"
    with pytest.raises(auto.CommandError, match=r"docker build failed: [\s\S]*127\.0\.0\.1:1"):
        workspace.up("daemonless", lambda: image(context))
    assert "app-image" not in workspace.resources("daemonless")


def test_without_the_docker_cli_the_error_names_it(workspace: Workspace, context: Path, tmp_path: Path) -> None:
    (tmp_path / "bin").mkdir()
    pulumi_cli = shutil.which("pulumi", path=workspace.environment["PATH"])
    assert pulumi_cli
    (tmp_path / "bin" / "pulumi").symlink_to(pulumi_cli)
    workspace.environment["PATH"] = str(tmp_path / "bin")
    with pytest.raises(auto.CommandError, match="the docker CLI is not on the PATH"):
        workspace.up("bare", lambda: image(context))


def test_a_missing_context_or_dockerfile_is_refused_before_anything_is_built(
    workspace: Workspace, context: Path, calls: Path
) -> None:
    with pytest.raises(auto.CommandError, match="is not a folder"):
        workspace.up("missing", lambda: image(context / "nowhere"))
    (context / "Dockerfile").unlink()
    with pytest.raises(auto.CommandError, match="there is no Dockerfile at"):
        workspace.up("missing", lambda: image(context))
    assert not calls.exists()
