"""A running local cloud as its clients see it: addresses, identities, the environment that leads to it.

A value without processes: the process that started the cloud and one that only read its `cloud.json` have the same.
"""

from __future__ import annotations

import os
import sys
import threading
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

import boto3
import botocore.session
from pydantic import TypeAdapter

from localcloud.apprunner.admin import AppRunnerAdmin
from localcloud.identities import Identity
from localcloud.processes import MARK
from localcloud.settings import ACCOUNT, HOST, REGION, Ports
from localcloud.token_issuer import TokenIssuer

FILE = "cloud.json"


class SharedClients(boto3.Session):
    """A session that gives every caller the same client of a service, because making one costs more than its calls.

    With any option a caller gets a client of its own. Threads may share clients, but not make them at the same time.
    """

    def __init__(self, **options: Any) -> None:
        super().__init__(**options)
        self._clients: dict[str, Any] = {}
        self._making = threading.Lock()

    def client(self, service_name: str, *arguments: Any, **options: Any) -> Any:
        with self._making:
            if arguments or options:
                return super().client(service_name, *arguments, **options)
            if service_name not in self._clients:
                self._clients[service_name] = super().client(service_name)
            return self._clients[service_name]


@dataclass(frozen=True)
class RunningCloud:
    """The addresses of a local cloud and its identities.

    `supervisor_pid` and `supervisor_started` (seconds since the epoch) identify the process that supervises it.
    """

    folder: Path
    ports: Ports
    identities: tuple[Identity, ...]
    mark: str
    supervisor_pid: int
    supervisor_started: float
    pulumi_bin: Path | None
    tokens: TokenIssuer
    """Makes tokens as GitHub gives them to workflows."""

    region = REGION
    account = ACCOUNT

    @property
    def endpoint_url(self) -> str:
        """All of AWS but App Runner."""
        return f"http://{HOST}:{self.ports.ministack}"

    @property
    def apprunner_url(self) -> str:
        """App Runner, and the tagging API for its services."""
        return f"http://{HOST}:{self.ports.apprunner}"

    @cached_property
    def apprunner_admin(self) -> AppRunnerAdmin:
        """The emulator's control API: delays, faults, quota, clock, and what really runs."""
        return AppRunnerAdmin(self.apprunner_url)

    def identity(self, name: str) -> Identity:
        """operator (administrator), alice and bob (may call APIs, nothing else), nobody (no policy).

        KeyError for another name.
        """
        for identity in self.identities:
            if identity.name == name:
                return identity
        raise KeyError(f"no identity {name!r}; there are {', '.join(each.name for each in self.identities)}")

    def environment(self, identity: Identity) -> dict[str, str]:
        """The variables with which boto3, awscli, the Pulumi CLI and all that use them reach this cloud as `identity`.

        FIBFACTORY_API_URL and PULUMI_BACKEND_URL are not among them: they need a platform.
        """
        return {
            "AWS_ENDPOINT_URL": self.endpoint_url,
            "AWS_ENDPOINT_URL_APPRUNNER": self.apprunner_url,
            "AWS_ENDPOINT_URL_RESOURCE_GROUPS_TAGGING_API": self.apprunner_url,
            "AWS_ACCESS_KEY_ID": identity.access_key,
            "AWS_SECRET_ACCESS_KEY": identity.secret_key,
            "AWS_REGION": REGION,
            "AWS_DEFAULT_REGION": REGION,
            "PULUMI_DEBUG_PROVIDERS": f"aws:{self.ports.provider},docker:{self.ports.provider}",
            "PULUMI_CONFIG_PASSPHRASE": "local",
            "PULUMI_DISABLE_AUTOMATIC_PLUGIN_ACQUISITION": "true",
            "PULUMI_SKIP_UPDATE_CHECK": "true",
            "PULUMI_DIY_BACKEND_NO_LEGACY_WARNING": "1",
            "PATH": os.pathsep.join([*self.path_folders(), os.environ.get("PATH", os.defpath)]),
        } | _no_proxies()

    def path_folders(self) -> list[str]:
        """The folders that a client's PATH begins with: the Pulumi CLI's, the virtual environment's."""
        return [str(folder) for folder in (self.pulumi_bin, Path(sys.executable).parent) if folder]

    def session(self, name: str) -> boto3.Session:
        """A boto3 session whose every client goes to this cloud as that identity; always the same one for a name.

        Profile and endpoints come from files in the cloud's folder, so nothing in the process changes.
        AWS_ENDPOINT_URL… variables, where set, would win over them: that is botocore's order.
        """
        if name not in self._sessions:
            botocore_session = botocore.session.Session(profile=name)
            botocore_session.set_config_variable("config_file", str(self.folder / "aws" / "config"))
            botocore_session.set_config_variable("credentials_file", str(self.folder / "aws" / "credentials"))
            self._sessions[name] = SharedClients(botocore_session=botocore_session)
        return self._sessions[name]

    @cached_property
    def _sessions(self) -> dict[str, boto3.Session]:
        return {}

    def marked_environment(self) -> dict[str, str]:
        """To be added to the environment of a process that has to end with the cloud at the latest."""
        return {MARK: self.mark}

    def write(self) -> None:
        """Write `cloud.json` and the profiles of `session`, readable by this user only, each complete or not there."""
        write_private(
            self.folder / "aws" / "config",
            "\n".join(self._profile(each) for each in self.identities) + self._services(),
        )
        write_private(self.folder / "aws" / "credentials", "\n".join(_credentials(each) for each in self.identities))
        write_private(self.folder / FILE, _JSON.dump_json(self, indent=2).decode() + "\n")

    def _profile(self, identity: Identity) -> str:
        return f"[profile {identity.name}]\nregion = {REGION}\nendpoint_url = {self.endpoint_url}\nservices = local\n"

    def _services(self) -> str:
        own = "".join(
            f"{name} =\n  endpoint_url = {self.apprunner_url}\n"
            for name in ("apprunner", "resource_groups_tagging_api")
        )
        return f"\n[services local]\n{own}"


_JSON = TypeAdapter(RunningCloud)


def read(folder: Path) -> RunningCloud:
    """The cloud whose supervisor was given this folder.

    FileNotFoundError when there is none, pydantic's ValidationError for a file of another kind.
    """
    return _JSON.validate_json((folder / FILE).read_bytes())


def _no_proxies() -> dict[str, str]:
    """Without these, Python's HTTP clients send even loopback to a proxy. Different clients read different spellings."""
    hosts = ",".join(filter(None, [os.environ.get("no_proxy") or os.environ.get("NO_PROXY"), HOST, "localhost"]))
    return {"NO_PROXY": hosts, "no_proxy": hosts}


def _credentials(identity: Identity) -> str:
    return (
        f"[{identity.name}]\naws_access_key_id = {identity.access_key}\naws_secret_access_key = {identity.secret_key}\n"
    )


def write_private(path: Path, text: str) -> None:
    """Write a file that only this user can read; it is replaced as a whole."""
    path.parent.mkdir(parents=True, exist_ok=True)
    unfinished = path.with_suffix(".new")
    unfinished.touch(mode=0o600)
    unfinished.write_text(text)
    unfinished.replace(path)
