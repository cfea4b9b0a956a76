"""Docker's images: built and pushed by the docker CLI.

The rule: nothing is pretended. Without the CLI or its daemon the operation fails and says so. An image with a name in ECR
is pushed to the registry of the caller's local cloud, under a name that only Docker sees: every output has the name that the
program gave.
"""

from __future__ import annotations

import re
import subprocess
import tempfile
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from typing import Any, ClassVar

from localcloud.provider.build_context import digest
from localcloud.provider.errors import ProviderError
from localcloud.provider.operation import Operation
from localcloud.provider.property_values import has_unknown
from localcloud.provider.resource import Resource, names
from localcloud.provider.schema import Failure
from localcloud.registry import Registry

_POLL = 0.1
_BUILD = names("args context contextDigest dockerfile platform")
_IMAGE_ID = ("image", "inspect", "--format", "{{.Id}}")
_PUSHED = re.compile(r"digest: (sha256:[0-9a-f]{64})")


class Image(Resource):
    """`docker:index/image:Image`; the id is the image's name."""

    token = "docker:index/image:Image"
    supports = names("build buildOnPreview imageName registry skipPush")
    replace_on = names("imageName")
    defaults: ClassVar[Mapping[str, Any]] = {"buildOnPreview": False, "skipPush": False}
    # A registry's password is a new one on each run.
    ignored = names("registry.username registry.password")

    def check(self, op: Operation, inputs: dict[str, Any]) -> list[Failure]:
        """Add the digest of the context to the inputs, so that a changed file is a change."""
        if inputs["buildOnPreview"] is True:
            return [Failure("buildOnPreview", "building during a preview is not carried out by the stand-in provider")]
        build = inputs.get("build") or {}
        if has_unknown(build):
            return []
        if others := build.keys() - _BUILD:
            return [Failure("build", f"not carried out by the stand-in provider: {', '.join(sorted(others))}")]
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
        """Build it, and push it unless the program says not to."""
        self._build_and_push(op)
        op.id = op.inputs["imageName"]

    def read(self, op: Operation) -> dict[str, Any] | None:
        """What the program gives and the last push printed; the registry is not asked, as in the official plug-in."""
        name = str(op.inputs.get("imageName") or op.id)
        build = op.inputs.get("build") or {}
        return {
            "baseImageName": name,
            "imageName": name,
            "registryServer": (op.inputs.get("registry") or {}).get("server") or _server(name),
            "context": build.get("context", "."),
            "dockerfile": build.get("dockerfile", "Dockerfile"),
            "platform": build.get("platform"),
            "repoDigest": op.outputs.get("repoDigest", ""),
        }

    def update(self, op: Operation) -> None:
        """Build and push again."""
        self._build_and_push(op)

    def delete(self, op: Operation) -> None:
        """Nothing: what was pushed stays, as with the official plug-in."""

    def _build_and_push(self, op: Operation) -> None:
        name = op.inputs["imageName"]
        self._build(op, name)
        shown = self._push(op, name) if not op.inputs["skipPush"] else self._run(op, *_IMAGE_ID, name).strip()
        # Read afterwards by `read`, which cannot find it out.
        op.outputs = {**op.outputs, "repoDigest": shown}

    def _build(self, op: Operation, name: str) -> None:
        build = op.inputs.get("build") or {}
        platform = str(build.get("platform") or "").lower()
        options = [
            ("--platform", platform),
            ("--file", build.get("dockerfile")),
            *(("--build-arg", f"{key}={value}") for key, value in (build.get("args") or {}).items()),
        ]
        arguments = [text for option, value in options if value for text in (option, value)]
        self._run(op, "build", "--tag", name, *arguments, build.get("context", "."))

    def _push(self, op: Operation, name: str) -> str:
        """Push it; its name with the digest of what was pushed."""
        with self._name_for_docker(op, name) as known:
            registry = op.inputs.get("registry") or {}
            if registry.get("username"):
                server = _server(known) if known != name else registry.get("server") or _server(name)
                printed = self._push_logged_in(op, known, server, registry)
            else:
                printed = self._run(op, "push", known)
        found = _PUSHED.search(printed)
        if found is None:
            raise ProviderError(f"docker pushed {name} and did not print its digest: {printed.strip()[-2000:]}")
        return f"{_repository(name)}@{found[1]}"

    def _push_logged_in(self, op: Operation, name: str, server: str, registry: Mapping[str, Any]) -> str:
        # A configuration of its own keeps the login out of the person's.
        with tempfile.TemporaryDirectory() as config:
            login = ("--config", config, "login", "--username", registry["username"], "--password-stdin", server)
            self._run(op, *login, text=registry.get("password", ""))
            return self._run(op, "--config", config, "push", name)

    @contextmanager
    def _name_for_docker(self, op: Operation, name: str) -> Iterator[str]:
        """The name under which Docker finds the image's registry: a temporary one, if that is the local cloud's."""
        registry = Registry.behind(op.connection.caller.environment.get("AWS_ENDPOINT_URL", ""))
        local = registry.local_name(name) if registry else None
        if local is None:
            yield name
            return
        self._run(op, "tag", name, local)
        try:
            yield local
        finally:
            # Not by `_run`, which a cancelled operation would end at once.
            caller = op.connection.caller
            subprocess.run(
                ["docker", "image", "rm", local], env=dict(caller.environment), capture_output=True, check=False
            )

    def _run(self, op: Operation, *arguments: str, text: str = "") -> str:
        caller = op.connection.caller
        # In files, because what a child of the CLI keeps open would make a pipe endless.
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
            printed = output.read()
        if process.returncode:
            raise ProviderError(f"docker {_verb(arguments)} failed: {printed.strip()[-2000:]}")
        return printed


def _verb(arguments: tuple[str, ...]) -> str:
    return next(word for word in arguments if word in ("build", "push", "login", "tag", "image"))


def _server(name: str) -> str:
    first = name.split("/")[0]
    return first if "/" in name and ("." in first or ":" in first or first == "localhost") else "docker.io"


def _repository(name: str) -> str:
    """The name without its tag; a colon before the last slash is a port's."""
    folder, slash, last = name.rpartition("/")
    return f"{folder}{slash}{last.partition(':')[0]}"
