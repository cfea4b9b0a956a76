"""boto3 clients with the caller's credentials, region and endpoints.

Rule: the environment of this process is never read, and nothing is ever sent to AWS itself: a caller who names no
endpoint is refused.
"""

from __future__ import annotations

import threading
from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import cache
from typing import Any

import botocore.session
from botocore.config import Config
from botocore.loaders import Loader

from localcloud.provider.errors import ProviderError

_BUILD = threading.RLock()


@dataclass(frozen=True)
class Access:
    """With what to sign and where to send: keys, region, and the endpoint of each service ('' for all others)."""

    access_key: str
    secret_key: str = field(repr=False)
    token: str | None = field(repr=False)
    region: str
    endpoints: Mapping[str, str]

    def endpoint(self, service: str) -> str:
        """The URL for a boto3 service name. Raises ProviderError when the caller named none."""
        url = self.endpoints.get(_key(service)) or self.endpoints.get(_key(service_id(service)))
        url = url or self.endpoints.get("")
        if not url:
            raise ProviderError(
                f"no endpoint for {service}: the stand-in provider never talks to AWS itself; "
                "set AWS_ENDPOINT_URL in the environment of the Pulumi CLI"
            )
        return url


def access_of(environment: Mapping[str, str], config: Mapping[str, Any]) -> Access:
    """The access of a process with this environment, under this explicit provider configuration, which wins.

    Raises ProviderError without keys or region, in the official plug-in's words.
    """
    access_key = config.get("accessKey") or environment.get("AWS_ACCESS_KEY_ID")
    explicit = "accessKey" in config
    secret_key = config.get("secretKey") or (None if explicit else environment.get("AWS_SECRET_ACCESS_KEY"))
    if not access_key or not secret_key:
        raise ProviderError(
            "No valid credential sources found. Please see https://www.pulumi.com/registry/packages/aws/"
        )
    region = config.get("region") or environment.get("AWS_REGION") or environment.get("AWS_DEFAULT_REGION")
    if not region:
        raise ProviderError("Missing region information: set `aws:region` or AWS_REGION")
    return Access(
        access_key=access_key,
        secret_key=secret_key,
        token=config.get("token") or (None if explicit else environment.get("AWS_SESSION_TOKEN")),
        region=region,
        endpoints=_endpoints(environment, config.get("endpoints") or []),
    )


class Clients:
    """Makes and keeps one client for each service and region."""

    def __init__(self, access: Access) -> None:
        self.access = access
        self._made: dict[tuple[str, str], Any] = {}
        self._session: Any = None

    def get(self, service: str, region: str | None = None) -> Any:
        """The client of a boto3 service name, in the provider's region or another."""
        key = (service, region or self.access.region)
        with _BUILD:
            if key not in self._made:
                self._made[key] = self._build(*key)
            return self._made[key]

    def _build(self, service: str, region: str) -> Any:
        if self._session is None:
            self._session = botocore.session.Session()
            self._session.register_component("data_loader", _loader())
        return self._session.create_client(
            service,
            region_name=region,
            endpoint_url=self.access.endpoint(service),
            aws_access_key_id=self.access.access_key,
            aws_secret_access_key=self.access.secret_key,
            aws_session_token=self.access.token,
            config=Config(
                retries={"mode": "standard", "total_max_attempts": 4},
                max_pool_connections=32,
                s3={"addressing_style": "path"},
                parameter_validation=True,
            ),
        )


@cache
def _loader() -> Loader:
    # Reading a service model takes longer than using it; all connections share what one has read.
    return Loader()


def _endpoints(environment: Mapping[str, str], explicit: list[Mapping[str, str]]) -> dict[str, str]:
    found = {"": environment.get("AWS_ENDPOINT_URL", "")}
    prefix = "AWS_ENDPOINT_URL_"
    found |= {_key(name[len(prefix) :]): url for name, url in environment.items() if name.startswith(prefix)}
    for entry in explicit:
        found |= {_key(service): url for service, url in entry.items() if url}
    return found


def _key(name: str) -> str:
    return name.replace("_", "").replace("-", "").replace(" ", "").lower()


def service_id(service: str) -> str:
    """AWS's own id of a boto3 service name: `AppRunner` for `apprunner`."""
    with _BUILD:
        return str(_loader().load_service_model(service, "service-2")["metadata"].get("serviceId", service))
