"""The Pulumi CLI at exactly the pinned version, from the first of four places that has it.

PATH, the cache, the official installer, Go with the pinned module.

Rule: a CLI gets into the cache by one rename, after it has answered with the right version.
"""

from __future__ import annotations

import os
import re
import shutil
import subprocess
from collections.abc import Mapping
from pathlib import Path

from tools.commands import CommandFailed, ToolFailure
from tools.setup.layout import Layout
from tools.setup.steps import Workplace, require_space, say

INSTALLER = "https://get.pulumi.com/install.sh"
MEGABYTES_TO_DOWNLOAD = 1_000
MEGABYTES_TO_BUILD = 4_000
OLDEST_GO = (1, 21)

_PACKAGE = "github.com/pulumi/pulumi/pkg/v3/cmd/pulumi"
_VERSION_VARIABLE = "github.com/pulumi/pulumi/sdk/v3/go/common/version.Version"
_HINTS = (
    ("requires go >=|invalid go version|unknown directive", "Install Go 1.25 or newer, or unset GOTOOLCHAIN=local."),
    ("SECURITY ERROR|checksum mismatch", "The module proxy serves other sources than the pinned ones: check GOPROXY."),
    (
        "dial tcp|no such host|connection refused|i/o timeout|proxyconnect|disabled by GOPROXY",
        "The Go module proxy can't be reached: check the network and GOPROXY.",
    ),
)


def found(layout: Layout, environ: Mapping[str, str]) -> Path | None:
    """The CLI where it already is: on the PATH if its version fits, else in the cache, else None."""
    candidate = shutil.which("pulumi", path=_without_environments(environ.get("PATH", "")))
    if candidate and version_of(Path(candidate), environ) == layout.pulumi_version:
        return Path(candidate).absolute()
    return layout.pulumi if layout.pulumi.exists() else None


def version_of(command: Path, environ: Mapping[str, str]) -> str | None:
    """The answer of `pulumi version` without its `v`; None when it does not answer like the CLI."""
    quiet = {**environ, "PULUMI_SKIP_UPDATE_CHECK": "true"}
    try:
        answer = subprocess.run(
            [command, "version"], env=quiet, capture_output=True, text=True, timeout=30, stdin=subprocess.DEVNULL
        )
    except (OSError, subprocess.TimeoutExpired):
        return None
    said = re.fullmatch(r"v(\S+)", answer.stdout.strip())
    return said.group(1) if answer.returncode == 0 and said else None


def make(layout: Layout, workplace: Workplace) -> Path:
    """Install the CLI into the cache, or build it there; its path. Raises `ToolFailure`."""
    partial = workplace.scratch / "pulumi"
    if not (_install(layout, workplace, partial) or _build(layout, workplace, partial)):
        raise ToolFailure(
            f"The Pulumi CLI {layout.pulumi_version} is missing, its installer can't be reached and there is no Go.",
            f"Connect to the internet, or install Go 1.25 or newer, or put pulumi {layout.pulumi_version} on the PATH.",
        )
    # A home of its own: a CLI writes there, and this one is only asked for its version.
    environ = {**workplace.environ, "PULUMI_HOME": str(workplace.scratch / "pulumi-home")}
    if (version := version_of(partial / "bin" / "pulumi", environ)) != layout.pulumi_version:
        raise ToolFailure(
            f"The new Pulumi CLI says it is {version}, not {layout.pulumi_version}.",
            "Run this again; if it stays, report it.",
        )
    layout.pulumi_home.parent.mkdir(parents=True, exist_ok=True)
    shutil.rmtree(layout.pulumi_home, ignore_errors=True)
    partial.rename(layout.pulumi_home)
    return layout.pulumi


def _install(layout: Layout, workplace: Workplace, root: Path) -> bool:
    probe = f"import urllib.request; urllib.request.urlopen({INSTALLER!r}, timeout=5)"
    try:
        # A process of its own, because looking up a name obeys no timeout.
        workplace.run(
            "asking for the Pulumi installer", [layout.venv_python, "-I", "-c", probe], cwd=layout.checkout, timeout=8
        )
    except CommandFailed:
        say("the Pulumi installer can't be reached from here")
        return False
    require_space(layout.cache, MEGABYTES_TO_DOWNLOAD, "The Pulumi CLI")
    install = (
        "import sys; from semver import VersionInfo; from pulumi.automation import PulumiCommand; "
        "PulumiCommand.install(root=sys.argv[1], version=VersionInfo.parse(sys.argv[2]))"
    )
    command: list[str | Path] = [layout.venv_python, "-I", "-c", install, root, layout.pulumi_version]
    try:
        workplace.run(f"Pulumi CLI {layout.pulumi_version}, from its installer", command, cwd=layout.checkout)
    except CommandFailed as failed:
        say(f"the Pulumi installer did not work ({failed})")
        shutil.rmtree(root, ignore_errors=True)
        return False
    return True


def _build(layout: Layout, workplace: Workplace, root: Path) -> bool:
    go = shutil.which("go", path=workplace.environ.get("PATH", ""))
    if go is None:
        return False
    _require_go(go, workplace)
    require_space(layout.cache, MEGABYTES_TO_BUILD, "Building the Pulumi CLI")
    # Without cgo: no compiler is needed, and users are looked up without the system's libraries.
    builder = Workplace({**workplace.environ, "CGO_ENABLED": "0", "GOWORK": "off"}, workplace.scratch, workplace.lock)
    version = f"{_VERSION_VARIABLE}=v{layout.pulumi_version}"
    command = [go, "build", "-trimpath", "-buildvcs=false", "-mod=readonly", "-ldflags", f"-s -w -X {version}"]
    title = f"Pulumi CLI {layout.pulumi_version}, built with Go (about 5 minutes on 2 cores, once)"
    builder.require(
        title,
        [*command, "-o", root / "bin" / "pulumi", _PACKAGE],
        cwd=layout.pulumi_module,
        failure="Go could not build the Pulumi CLI.",
        advice="See Go's own words above; then run this again.",
        hints=_HINTS,
    )
    return True


def _require_go(go: str, workplace: Workplace) -> None:
    answer = workplace.require(
        "asking for Go's version",
        [go, "env", "GOVERSION"],
        # Outside any module, so that an old Go answers instead of refusing our go.mod.
        cwd=workplace.scratch,
        failure=f"{go} does not work.",
        advice="Repair it, or install Go 1.25 or newer.",
        timeout=60,
    )
    said = re.search(r"go(\d+)\.(\d+)", answer)
    if said and (int(said[1]), int(said[2])) < OLDEST_GO:
        raise ToolFailure(f"{go} is too old to build the Pulumi CLI ({said[0]}).", "Install Go 1.25 or newer.")


def _without_environments(path: str) -> str:
    # A `pulumi` in a virtual environment is a link made by this set-up or an older one, never the machine's own CLI.
    return os.pathsep.join(
        folder for folder in path.split(os.pathsep) if folder and not Path(folder, "..", "pyvenv.cfg").exists()
    )
