"""Set-up: what it decides, what it leaves behind, and what it says when it fails.

Nothing is installed here: the machines, Pythons and CLIs are small scripts, run for real.
"""

from __future__ import annotations

import os
import re
import shutil
import signal
import socket
import subprocess
import sys
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path

import psutil
import pytest

from tests.waiting import eventually
from tools.commands import CommandFailed, ToolFailure, tail
from tools.setup import pulumi_cli, venv
from tools.setup.layout import Layout, cache_folder, pulumi_version, venv_key
from tools.setup.steps import Workplace, advice_for, only_one, require_space

pytestmark = pytest.mark.slow

CHECKOUT = Path(__file__).resolve().parents[2]
LIMIT_SECONDS = 30


def executable(path: Path, script: str) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(f"#!/bin/sh\n{script}\n")
    path.chmod(0o755)
    return path


@pytest.fixture
def layout(tmp_path: Path) -> Layout:
    layout = Layout(tmp_path / "checkout", tmp_path / "cache", "abc", "3.250.0")
    layout.checkout.mkdir()
    layout.scratch.mkdir(parents=True)
    return layout


@pytest.fixture
def machine(tmp_path: Path) -> dict[str, str]:
    """An environment whose PATH holds one empty folder."""
    (tmp_path / "machine").mkdir()
    return {"PATH": str(tmp_path / "machine"), "HOME": str(tmp_path)}


def pulumi_saying(path: Path, version: str) -> Path:
    return executable(path, f"echo {version}")


# Names


def test_other_packages_or_another_python_make_another_environment() -> None:
    keys = {venv_key("a==1", "3.11"), venv_key("a==2", "3.11"), venv_key("a==1", "3.12")}
    assert len(keys) == 3
    assert venv_key("a==1", "3.11") in keys


@pytest.mark.parametrize(
    ("environ", "folder"),
    [
        ({"XDG_CACHE_HOME": "/big/disk"}, Path("/big/disk/fibfactory")),
        ({"XDG_CACHE_HOME": ""}, Path.home() / ".cache" / "fibfactory"),
        ({"XDG_CACHE_HOME": "relative"}, Path.home() / ".cache" / "fibfactory"),
        ({}, Path.home() / ".cache" / "fibfactory"),
    ],
)
def test_the_cache_is_where_xdg_says(environ: Mapping[str, str], folder: Path) -> None:
    assert cache_folder(environ) == folder


def test_the_cli_has_the_version_of_the_pinned_sdk() -> None:
    assert pulumi_version("a==1\npulumi==3.250.0 \\\n    --hash=x\npulumi-aws==7.51.1") == "3.250.0"


def test_requirements_without_pulumi_are_refused() -> None:
    with pytest.raises(ToolFailure, match="pins no pulumi"):
        pulumi_version("pulumi-aws==7.51.1")


# The files of this repository


def test_the_go_module_pins_the_same_cli_as_the_requirements() -> None:
    version = pulumi_version((CHECKOUT / "requirements" / "dev.txt").read_text())
    for module in ("pkg", "sdk"):
        assert f"github.com/pulumi/pulumi/{module}/v3 v{version} " in (CHECKOUT / "tools/pulumi_cli/go.mod").read_text()


@pytest.mark.parametrize("part", ["orchestrator", "fibservice"])
def test_an_image_gets_the_versions_that_the_tests_ran_with(part: str) -> None:
    def pins(name: str) -> set[str]:
        return set(re.findall(r"^\S+==\S+", (CHECKOUT / "requirements" / f"{name}.txt").read_text(), re.MULTILINE))

    assert pins(part) <= pins("dev")


@pytest.mark.parametrize("part", ["dev", "orchestrator", "fibservice"])
def test_requirements_name_no_host_and_hash_every_package(part: str) -> None:
    text = (CHECKOUT / "requirements" / f"{part}.txt").read_text()
    assert "://" not in text
    packages = re.split(r"^(?=\S+==)", text, flags=re.MULTILINE)[1:]
    assert packages
    assert all("--hash=sha256:" in package for package in packages)


# Where the CLI comes from


def test_a_cli_of_the_right_version_on_the_path_is_used(layout: Layout, machine: dict[str, str]) -> None:
    installed = pulumi_saying(Path(machine["PATH"]) / "pulumi", "v3.250.0")
    pulumi_saying(layout.pulumi, "v3.250.0")
    assert pulumi_cli.found(layout, machine) == installed


@pytest.mark.parametrize("answer", ["v3.249.0", "3.250.0", "", "v3.250.0; exit 1"])
def test_the_cached_cli_is_used_instead_of_another_version_on_the_path(
    layout: Layout, machine: dict[str, str], answer: str
) -> None:
    pulumi_saying(Path(machine["PATH"]) / "pulumi", answer)
    cached = pulumi_saying(layout.pulumi, "v3.250.0")
    assert pulumi_cli.found(layout, machine) == cached


def test_without_any_cli_none_is_found(layout: Layout, machine: dict[str, str]) -> None:
    assert pulumi_cli.found(layout, machine) is None


def test_a_link_made_by_set_up_is_not_taken_for_the_machine_s_cli(layout: Layout, machine: dict[str, str]) -> None:
    """Neither this environment's nor an older one's that the checkout's link still points at."""
    older = replace(layout, venv_key="older")
    for environment in (layout, older):
        pulumi_saying(environment.pulumi_link, "v3.250.0")
        (environment.venv / "pyvenv.cfg").touch()
    layout.link.symlink_to(older.venv)
    folders = [layout.pulumi_link.parent, older.pulumi_link.parent, layout.link / "bin", machine["PATH"]]
    assert pulumi_cli.found(layout, {**machine, "PATH": ":".join(map(str, folders))}) is None


def make_cli(layout: Layout, machine: Mapping[str, str]) -> Path:
    """Make the CLI on a machine that cannot reach the installer: the environment's Python fails to ask for it."""
    executable(layout.venv_python, "exit 1")
    layout.pulumi_module.mkdir(parents=True, exist_ok=True)
    with only_one(layout.lock) as lock:
        return pulumi_cli.make(layout, Workplace(machine, layout.scratch, lock))


def test_without_installer_and_go_set_up_says_what_to_do(layout: Layout, machine: dict[str, str]) -> None:
    with pytest.raises(ToolFailure, match=r"3\.250\.0 is missing") as failure:
        make_cli(layout, machine)
    assert "install Go" in failure.value.advice


def go_that_builds(machine: Mapping[str, str], build: str, version: str = "go1.25.11") -> None:
    # Called as: go build … -o FILE PACKAGE
    find_output = 'while [ "$1" != -o ]; do shift; done'
    executable(
        Path(machine["PATH"]) / "go", f'if [ "$1" = env ]; then echo {version}; exit; fi\n{find_output}\n{build}'
    )


def test_with_go_the_cli_is_built_into_the_cache(layout: Layout, machine: dict[str, str]) -> None:
    machine = {**machine, "PATH": f"{machine['PATH']}:/usr/bin:/bin"}
    tools = {**machine, "PATH": machine["PATH"].split(":")[0]}
    go_that_builds(tools, 'mkdir -p "${2%/*}" && printf "#!/bin/sh\\necho v3.250.0\\n" > "$2" && chmod +x "$2"')
    assert make_cli(layout, machine) == layout.pulumi
    assert pulumi_cli.version_of(layout.pulumi, machine) == "3.250.0"


def test_a_cli_of_another_version_does_not_get_into_the_cache(layout: Layout, machine: dict[str, str]) -> None:
    machine = {**machine, "PATH": f"{machine['PATH']}:/usr/bin:/bin"}
    tools = {**machine, "PATH": machine["PATH"].split(":")[0]}
    go_that_builds(tools, 'mkdir -p "${2%/*}" && printf "#!/bin/sh\\necho v9.9.9\\n" > "$2" && chmod +x "$2"')
    with pytest.raises(ToolFailure, match=r"says it is 9\.9\.9"):
        make_cli(layout, machine)
    assert not layout.pulumi_home.exists()


@pytest.mark.parametrize(
    ("said", "advised"),
    [
        ("dial tcp: lookup proxy: no such host", "GOPROXY"),
        ("go: go.mod requires go >= 1.25.11 (running go 1.22; GOTOOLCHAIN=local)", r"Go 1\.25"),
        ("write: No space left on device", "XDG_CACHE_HOME"),
        ("something new", "Go's own words"),
    ],
)
def test_a_failed_build_says_what_to_do(layout: Layout, machine: dict[str, str], said: str, advised: str) -> None:
    go_that_builds(machine, f"echo '{said}'; exit 1")
    with pytest.raises(ToolFailure, match="could not build") as failure:
        make_cli(layout, machine)
    assert re.search(advised, failure.value.advice)
    assert failure.value.output == said


def test_a_go_that_is_too_old_is_refused(layout: Layout, machine: dict[str, str]) -> None:
    go_that_builds(machine, "exit 1", version="go1.19.8")
    with pytest.raises(ToolFailure, match="too old"):
        make_cli(layout, machine)


# The virtual environment


def test_an_environment_without_its_marker_is_not_whole(layout: Layout) -> None:
    executable(layout.venv_python, "exit 0")
    assert not venv.is_whole(layout)
    layout.venv_marker.touch()
    assert venv.is_whole(layout)


def test_an_environment_without_its_python_is_not_whole(layout: Layout) -> None:
    layout.venv_python.parent.mkdir(parents=True)
    layout.venv_python.symlink_to(layout.cache / "removed")
    layout.venv_marker.touch()
    assert not venv.is_whole(layout)


def test_a_failed_installation_leaves_no_environment_and_says_what_to_do(
    layout: Layout, machine: dict[str, str]
) -> None:
    layout.requirements.parent.mkdir()
    layout.requirements.write_text("nothing-of-this-name==1 --hash=sha256:00\n")
    environ = {**machine, "PIP_NO_INDEX": "1", "PIP_CONFIG_FILE": os.devnull}
    with only_one(layout.lock) as lock, pytest.raises(ToolFailure, match="pip could not install") as failure:
        venv.make(layout, Workplace(environ, layout.scratch, lock))
    assert "lacks a pinned version" in failure.value.advice
    assert not layout.venv.exists()


def test_the_link_follows_the_environment(layout: Layout) -> None:
    venv.link(layout)
    moved = replace(layout, venv_key="def")
    venv.link(moved)
    assert layout.link.readlink() == moved.venv
    assert [each.name for each in layout.checkout.iterdir()] == [".venv"]


def test_a_user_s_folder_is_not_replaced_by_the_link(layout: Layout) -> None:
    layout.link.mkdir()
    with pytest.raises(ToolFailure, match="folder of yours"):
        venv.link(layout)


# Steps


def workplace(layout: Layout, lock: int) -> Workplace:
    return Workplace({"PATH": os.environ["PATH"]}, layout.scratch, lock)


def test_a_step_has_its_temporary_files_in_set_up_s_folder(layout: Layout) -> None:
    with only_one(layout.lock) as lock:
        said = workplace(layout, lock).run("where", ["sh", "-c", 'echo "$TMPDIR"'], cwd=layout.checkout)
    assert said.strip() == str(layout.scratch)


def test_a_failed_step_raises_with_its_output(layout: Layout) -> None:
    with only_one(layout.lock) as lock, pytest.raises(CommandFailed) as failed:
        workplace(layout, lock).run("fails", ["sh", "-c", "echo out; echo err >&2; exit 3"], cwd=layout.checkout)
    assert failed.value.output == "out\nerr\n"


def test_a_command_that_does_not_exist_is_a_failed_step(layout: Layout) -> None:
    with only_one(layout.lock) as lock, pytest.raises(CommandFailed):
        workplace(layout, lock).run("missing", [layout.cache / "missing"], cwd=layout.checkout)


def test_a_step_out_of_time_is_ended_with_all_its_children(layout: Layout) -> None:
    script = f"sleep 600 & echo $! > {layout.scratch}/child; wait"
    with only_one(layout.lock) as lock, pytest.raises(CommandFailed, match="not done after"):
        workplace(layout, lock).run("slow", ["sh", "-c", script], cwd=layout.checkout, timeout=2)
    child = int((layout.scratch / "child").read_text())
    eventually(lambda: gone(child), "the child to end", LIMIT_SECONDS)


def gone(pid: int) -> bool:
    """Whether a process has ended; one that nobody has reaped yet has."""
    return not psutil.pid_exists(pid) or psutil.Process(pid).status() == psutil.STATUS_ZOMBIE


def test_a_second_set_up_waits_until_the_first_has_ended(layout: Layout, tmp_path: Path) -> None:
    report = tmp_path / "report"
    program = (
        "import sys; from pathlib import Path; from tools.setup.steps import only_one\n"
        "with only_one(Path(sys.argv[1])): print('held', flush=True)"
    )
    with report.open("w") as sink, only_one(layout.lock):
        second = subprocess.Popen([sys.executable, "-c", program, layout.lock], cwd=CHECKOUT, stdout=sink)
        eventually(lambda: "waiting" in report.read_text(), seconds=LIMIT_SECONDS)
        assert "held" not in report.read_text()
    assert second.wait(LIMIT_SECONDS) == 0
    assert report.read_text().splitlines()[-1] == "held"


# The whole program


def test_a_signal_leaves_no_process_and_nothing_half_made(tmp_path: Path) -> None:
    """Stopped in the middle of an installation: the index accepts pip's connection and never answers."""
    for name in ("tools", "requirements"):
        shutil.copytree(CHECKOUT / name, tmp_path / name, ignore=shutil.ignore_patterns("__pycache__"))
    with socket.create_server(("127.0.0.1", 0)) as index:
        index.settimeout(LIMIT_SECONDS)
        environ = {
            "PATH": os.environ["PATH"],
            "HOME": str(tmp_path),
            "XDG_CACHE_HOME": str(tmp_path / "cache"),
            "PIP_CONFIG_FILE": os.devnull,
            "PIP_INDEX_URL": f"http://127.0.0.1:{index.getsockname()[1]}/",
        }
        program = subprocess.Popen(
            [sys.executable, "-m", "tools.setup"], cwd=tmp_path, env=environ, stdout=subprocess.PIPE, text=True
        )
        pip, _ = index.accept()
        children = psutil.Process(program.pid).children(recursive=True)
        program.send_signal(signal.SIGTERM)
        output, _ = program.communicate(timeout=LIMIT_SECONDS)
        pip.close()
    assert program.returncode == 128 + signal.SIGTERM
    assert output.splitlines()[-1] == "set-up: stopped; nothing half made is left. Run it again to continue"
    assert children
    eventually(lambda: all(gone(child.pid) for child in children), "all processes to end", LIMIT_SECONDS)
    assert [each.name for each in (tmp_path / "cache" / "fibfactory").iterdir()] == ["setup.lock"]
    assert not (tmp_path / ".venv").exists()


def shell_with(path: Path, **environ: str) -> subprocess.CompletedProcess[str]:
    """Run set-up's shell part on a machine whose PATH holds `path` and what a shell script needs."""
    executable(path / "dirname", 'exec /usr/bin/dirname "$@"')
    return subprocess.run(
        ["/bin/sh", CHECKOUT / "tools" / "setup.sh"], env={"PATH": str(path), **environ}, capture_output=True, text=True
    )


def python_that(path: Path, *, recent: bool, makes_environments: bool) -> Path:
    """An interpreter for set-up's shell part: it answers the three questions, and prints the arguments when started."""
    answers = f"""case "$*" in
        *version_info\\ \\<*) exit {0 if recent else 1} ;;
        *ensurepip*) exit {0 if makes_environments else 1} ;;
        *print*) echo 3.11 ;;
        *) echo "started: $*" ;;
    esac"""
    return executable(path, answers)


def test_without_a_recent_python_set_up_says_so(tmp_path: Path) -> None:
    python_that(tmp_path / "python3", recent=False, makes_environments=True)
    result = shell_with(tmp_path)
    assert result.returncode == 1
    assert "found no Python 3.11 or newer" in result.stderr


def test_without_the_venv_module_set_up_names_the_package_to_install(tmp_path: Path) -> None:
    python_that(tmp_path / "python3", recent=True, makes_environments=False)
    result = shell_with(tmp_path)
    assert result.returncode == 1
    assert "apt-get install python3.11-venv" in result.stderr


def test_a_newer_python_beside_an_old_one_is_found(tmp_path: Path) -> None:
    python_that(tmp_path / "python3", recent=False, makes_environments=True)
    python_that(tmp_path / "python3.12", recent=True, makes_environments=True)
    assert shell_with(tmp_path).stdout == "started: -m tools.setup\n"


def test_a_python_named_by_the_user_is_the_only_one_tried(tmp_path: Path) -> None:
    python_that(tmp_path / "python3", recent=True, makes_environments=True)
    result = shell_with(tmp_path, PYTHON="/nothing/here")
    assert (result.returncode, result.stdout) == (1, "")
    assert "looked for: /nothing/here" in result.stderr


# Messages of failures


def test_a_full_disk_has_its_own_advice_after_any_command() -> None:
    assert "XDG_CACHE_HOME" in advice_for("OSError: [Errno 28] No space left on device", (), "otherwise")


def test_too_little_space_is_reported_before_anything_is_made(tmp_path: Path) -> None:
    with pytest.raises(ToolFailure, match=r"The thing needs \d+ MB"):
        require_space(tmp_path, 10**12, "The thing")


def test_only_the_end_of_a_long_output_is_shown() -> None:
    assert tail("\n".join(map(str, range(100))), 2) == "98\n99"
