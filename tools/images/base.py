"""The bases of the images: one with Python, and a build base with this machine's settings for packages.

The base is `python:3.11-slim-bookworm`. Where no registry can be reached it is made here from Debian's packages, once, and kept
beside the other caches; that one is for tests, not for AWS: it has Debian's release as it came out, without later security fixes.

Rule: everything that belongs to this machine (its CA, its package index, its Pulumi CLI) is in the build base, of which nothing
gets into an image.
"""

from __future__ import annotations

import ast
import configparser
import gzip
import hashlib
import io
import os
import platform
import shutil
import ssl
import subprocess
import sys
import tarfile
import tempfile
from dataclasses import dataclass
from pathlib import Path

import pip

from tools.commands import CommandFailed, Progress, Say, ToolFailure, run
from tools.images import docker
from tools.setup.layout import cache_folder

DEFAULT = "python:3.11-slim-bookworm"
OWN = "fibfactory/base:bookworm-1"
BUILD = "fibfactory/build-base"
_CLI = "pulumi.tar.gz"

_PACKAGES = "python3,python-is-python3,ca-certificates"
# Each names this machine, an archive host, or nothing that a program needs.
_NOT_KEPT = (
    "etc/apt", "etc/hostname", "etc/resolv.conf", "etc/machine-id", "usr/share/doc", "usr/share/info", "usr/share/locale",
    "usr/share/man", "var/cache", "var/lib/apt", "var/log", "dev", "proc", "sys",
)  # fmt: skip
_PIP_SETTINGS = {"index-url", "extra-index-url", "proxy", "timeout", "trusted-host"}


class NoBase(ToolFailure):
    """There is no base image here, and none can be made."""


def base(wanted: str | None, say: Say, *, own: bool) -> str:
    """The base image's name: the wanted one, else the default. Raises `ToolFailure`.

    `own`: make a base here when the default can't be pulled.
    """
    image = wanted or DEFAULT
    if docker.has(image) or docker.pull(image, say):
        return image
    if wanted or not own:
        raise NoBase(
            f"The base image {image} is not here and can't be pulled.", "Pull it, or name another with --base."
        )
    say(f"{DEFAULT} can't be pulled here: the base is made from Debian's packages")
    if not docker.has(OWN):
        docker.load(_root_file_system(say), OWN, say)
    return OWN


@dataclass(frozen=True)
class BuildBase:
    """An image with pip, this machine's settings for it, and its Pulumi CLI if that was asked for."""

    image: str
    cli_sha256: str | None

    @property
    def programs(self) -> dict[str, str]:
        """The build arguments that put the machine's CLI, and no AWS plug-in, into the orchestrator's image."""
        if self.cli_sha256 is None:
            return {}
        url = f"file:///opt/machine/{_CLI}"
        return {"PULUMI_CLI_URL": url, "PULUMI_CLI_SHA256": self.cli_sha256, "PULUMI_AWS_URL": ""}


def build_base(image: str, cli: Path | None, say: Say) -> BuildBase:
    """The base with what belongs to this machine, and with its Pulumi CLI when that is given."""
    built = f"{BUILD}-with-cli" if cli else BUILD
    with tempfile.TemporaryDirectory() as context:
        folder = Path(context)
        shutil.copytree(Path(pip.__file__).parent, folder / "machine" / "pip", ignore=shutil.ignore_patterns("*.pyc"))
        settings = _pip_settings()
        shutil.copyfile(_certificates(settings), folder / "machine" / "ca.crt")
        pip_conf = configparser.RawConfigParser()
        pip_conf["global"] = {name: value for name, value in settings.items() if name in _PIP_SETTINGS}
        with (folder / "machine" / "pip.conf").open("w") as file:
            pip_conf.write(file)
        sha256 = pack(cli, folder / "machine" / _CLI) if cli else None
        _same_times(folder)
        (folder / "Dockerfile").write_text(
            f"FROM {image}\n"
            "COPY machine /opt/machine\n"
            "ENV PYTHONPATH=/opt/machine PIP_CONFIG_FILE=/opt/machine/pip.conf \\\n"
            "    PIP_CERT=/opt/machine/ca.crt SSL_CERT_FILE=/opt/machine/ca.crt\n"
        )
        docker.build(built, folder / "Dockerfile", folder, {}, say)
    return BuildBase(built, sha256)


def _root_file_system(say: Say) -> Path:
    folder = cache_folder(os.environ) / "images"
    archive = folder / f"{OWN.partition(':')[2]}.tar.gz"
    if archive.exists():
        return archive
    if os.getuid() or platform.machine() != "x86_64" or not shutil.which("debootstrap"):
        raise NoBase(
            f"{DEFAULT} can't be pulled here, and a base of our own needs root, x86-64 and debootstrap.",
            "Make a registry reachable, or name a base image that is here.",
        )
    folder.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(dir=folder) as scratch:
        root, partial = Path(scratch, "root"), Path(scratch, archive.name)
        # Namespaces of its own: its mounts and its children end with it, however it ends.
        command = ["unshare", "--mount", "--pid", "--fork", "--kill-child"]
        command += ["debootstrap", "--variant=minbase", f"--include={_PACKAGES}", "bookworm", str(root)]
        try:
            run(command, Progress("A Debian with Python", say))
        except CommandFailed as failed:
            advice = "Debian's archive must be reachable."
            raise ToolFailure("debootstrap could not make a Debian with Python.", advice, failed.output) from failed
        with tarfile.open(partial, "w:gz", compresslevel=1) as tar:
            tar.add(root, ".", filter=kept)
        partial.rename(archive)
    return archive


def kept(member: tarfile.TarInfo) -> tarfile.TarInfo | None:
    name = member.name.removeprefix("./")
    return None if any(name == each or name.startswith(f"{each}/") for each in _NOT_KEPT) else member


def pack(program: Path, archive: Path) -> str:
    """Pack the program; the archive's SHA-256. The same bytes give the same archive, so that builds are found in the cache."""
    content = program.read_bytes()
    # Go records in a program how it was built. With cgo it looks up its user in the C library, which has none for Lambda's.
    if b"CGO_ENABLED=1" in content and b"osusergo" not in content:
        raise ToolFailure(
            f"{program} was built with cgo: it can't run as a user that /etc/passwd does not know, as in Lambda.",
            "Remove it and run make setup, which makes one that can.",
        )
    member = tarfile.TarInfo(program.name)
    member.size, member.mode = len(content), 0o755
    whole = io.BytesIO()
    with tarfile.open(fileobj=whole, mode="w") as tar:
        tar.addfile(member, io.BytesIO(content))
    archive.write_bytes(gzip.compress(whole.getvalue(), compresslevel=1, mtime=0))
    return hashlib.sha256(archive.read_bytes()).hexdigest()


def _same_times(folder: Path) -> None:
    # The builders' caches compare times too.
    for each in folder.rglob("*"):
        os.utime(each, (0, 0))


def _pip_settings() -> dict[str, str]:
    """This machine's settings for pip, those of the environment over those of files."""
    command = [sys.executable, "-m", "pip", "config", "list"]
    lines = subprocess.run(command, capture_output=True, text=True, check=True).stdout.splitlines()
    return dict(setting(line) for line in sorted(lines, key=lambda line: line.startswith(":env:")))


def setting(line: str) -> tuple[str, str]:
    name, _, value = line.partition("=")
    return name.rpartition(".")[2], ast.literal_eval(value)


def _certificates(settings: dict[str, str]) -> Path:
    found = settings.get("cert") or os.environ.get("SSL_CERT_FILE") or ssl.get_default_verify_paths().cafile
    if not found:
        from pip._vendor import certifi  # a machine whose Python has no certificates of its own

        found = certifi.where()
    return Path(found)
