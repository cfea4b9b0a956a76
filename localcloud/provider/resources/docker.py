"""Docker's images: built and pushed by the docker CLI.

Rule: nothing is pretended. Without the CLI or its daemon the operation fails and says so.
"""

from __future__ import annotations

import subprocess
import tempfile
from collections.abc import Mapping
from typing import Any, ClassVar

from localcloud.provider.context import digest
from localcloud.provider.errors import ProviderError
from localcloud.provider.operation import Operation
from localcloud.provider.resource import Resource
from localcloud.provider.schema import Failure
from localcloud.provider.wire import has_unknown

_POLL = 0.1


class Image(Resource):
    """`docker:index/image:Image`; the id is the image's name."""

    tokens = ("docker:index/image:Image",)
    supports = frozenset({"build", "buildOnPreview", "imageName", "registry", "skipPush"})
    replace_on = frozenset({"imageName"})
    defaults: ClassVar[Mapping[str, Any]] = {"buildOnPreview": False, "skipPush": False}

    def check(self, op: Operation, inputs: dict[str, Any]) -> list[Failure]:
        """Note the digest of the context among the inputs, so that a changed file is a change."""
        if inputs["buildOnPreview"] is True:
            return [Failure("buildOnPreview", "building during a preview is not carried out by the stand-in provider")]
        build = inputs.get("build") or {}
        if has_unknown(build):
            return []
        folder = op.connection.caller.folder
        context = folder / build.get("context", ".")
        dockerfile = folder / build["dockerfile"] if build.get("dockerfile") else context / "Dockerfile"
        if not context.is_dir():
            return [Failure("build.context", f"the build context {context} is not a folder")]
        if not dockerfile.is_file():
            return [Failure("build.dockerfile", f"there is no Dockerfile at {dockerfile}")]
        inputs["build"] = {**build, "contextDigest": digest(context, dockerfile)}
        return []

    def create(self, op: Operation) -> None:
        """Build it, and push it unless told not to."""
        self._build_and_push(op)
        op.made(op.inputs["imageName"])

    def read(self, op: Operation) -> dict[str, Any] | None:
        """What is known of it: what is in a registry is not looked at, as in the official plug-in."""
        name = str(op.inputs.get("imageName") or op.id)
        build = op.inputs.get("build") or {}
        live = {
            "baseImageName": name,
            "imageName": name,
            "registryServer": (op.inputs.get("registry") or {}).get("server") or _server(name),
            "context": build.get("context", "."),
            "dockerfile": build.get("dockerfile", "Dockerfile"),
            "platform": build.get("platform"),
        }
        shown = self._run(
            op, "image", "inspect", "--format", "{{range .RepoDigests}}{{println .}}{{end}}", name, ok=False
        )
        digests = shown.split()
        return live | {"repoDigest": digests[0] if digests else op.outputs.get("repoDigest", "")}

    def update(self, op: Operation) -> None:
        """Build and push again."""
        self._build_and_push(op)

    def delete(self, op: Operation) -> None:
        """Nothing: what was pushed stays, as with the official plug-in."""

    def _build_and_push(self, op: Operation) -> None:
        given = op.inputs
        build = given.get("build") or {}
        arguments = ["build", "--tag", given["imageName"]]
        for name in ("platform", "target", "network"):
            if build.get(name):
                arguments += [f"--{name}", str(build[name]).lower() if name == "platform" else build[name]]
        if build.get("dockerfile"):
            arguments += ["--file", build["dockerfile"]]
        for key, value in (build.get("args") or {}).items():
            arguments += ["--build-arg", f"{key}={value}"]
        for host in build.get("addHosts") or []:
            arguments += ["--add-host", host]
        for image in (build.get("cacheFrom") or {}).get("images") or []:
            arguments += ["--cache-from", image]
        self._run(op, *arguments, build.get("context", "."))
        if given["skipPush"]:
            return
        registry = given.get("registry") or {}
        if not registry.get("username"):
            self._run(op, "push", given["imageName"])
            return
        with tempfile.TemporaryDirectory() as config:
            server = registry.get("server") or _server(given["imageName"])
            login = ("--config", config, "login", "--username", registry["username"], "--password-stdin", server)
            self._run(op, *login, text=registry.get("password", ""))
            self._run(op, "--config", config, "push", given["imageName"])

    def _run(self, op: Operation, *arguments: str, text: str = "", ok: bool = True) -> str:
        caller = op.connection.caller
        with tempfile.TemporaryFile("w+") as output, tempfile.TemporaryFile("w+") as entered:
            entered.write(text)
            entered.seek(0)
            try:
                process = subprocess.Popen(
                    ["docker", *arguments],
                    stdin=entered,
                    stdout=output,
                    stderr=subprocess.STDOUT,
                    cwd=caller.folder,
                    env=dict(caller.environment),
                )
            except FileNotFoundError as exc:
                raise ProviderError("the docker CLI is not on the PATH of the Pulumi CLI; images need it") from exc
            try:
                while process.poll() is None:
                    op.pause(_POLL)
            finally:
                if process.poll() is None:
                    process.terminate()
                    process.wait()
            output.seek(0)
            said = output.read()
        if process.returncode and ok:
            raise ProviderError(f"docker {_verb(arguments)} failed: {said.strip()[-2000:]}")
        return said if process.returncode == 0 else ""


def _verb(arguments: tuple[str, ...]) -> str:
    return next(word for word in arguments if word in ("build", "push", "login", "image"))


def _server(name: str) -> str:
    first = name.split("/")[0]
    return first if "/" in name and ("." in first or ":" in first or first == "localhost") else "docker.io"
