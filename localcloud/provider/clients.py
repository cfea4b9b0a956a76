"""boto3 clients with the caller's credentials, region and endpoints.

The rule: the environment of this process is never read, and nothing is ever sent to AWS itself: a caller without an
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

from localcloud.provider.errors import ProviderError

_BUILD = threading.RLock()


@dataclass(frozen=True)
class Access:
    """What a client needs: keys, region, and the endpoint of each service ('' for all others)."""

    access_key: str
    secret_key: str = field(repr=False)
    token: str | None = field(repr=False)
    region: str
    endpoints: Mapping[str, str]

    def endpoint(self, service: str) -> str:
        """The URL for a boto3 service name. Raises ProviderError when the caller gave none."""
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
    # Keys are taken from one place together: a session token belongs to the keys beside it.
    explicit = "accessKey" in config
    access_key = config.get("accessKey") or environment.get("AWS_ACCESS_KEY_ID")
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


def client(access: Access, service: str, region: str) -> Any:
    """A new client of a boto3 service name."""
    endpoint = access.endpoint(service)
    with _BUILD:
        return _session().create_client(
            service,
            region_name=region,
            endpoint_url=endpoint,
            aws_access_key_id=access.access_key,
            aws_secret_access_key=access.secret_key,
            aws_session_token=access.token,
            config=Config(
                retries={"mode": "standard", "total_max_attempts": 4},
                max_pool_connections=32,
                s3={"addressing_style": "path"},
            ),
        )


def service_id(service: str) -> str:
    """AWS's own id of a boto3 service name: `AppRunner` for `apprunner`."""
    with _BUILD:
        return str(_session().get_service_model(service).metadata.get("serviceId", service))


@cache
def _session() -> botocore.session.Session:
    # Reading a service model takes longer than using it; all connections share what one has read.
    return botocore.session.Session()


def _endpoints(environment: Mapping[str, str], explicit: list[Mapping[str, str]]) -> dict[str, str]:
    found = {"": environment.get("AWS_ENDPOINT_URL", "")}
    prefix = "AWS_ENDPOINT_URL_"
    found |= {_key(name[len(prefix) :]): url for name, url in environment.items() if name.startswith(prefix)}
    for entry in explicit:
        found |= {_key(service): url for service, url in entry.items() if url}
    return found


def _key(name: str) -> str:
    return name.replace("_", "").replace("-", "").replace(" ", "").lower()
