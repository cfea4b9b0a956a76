"""The server's host and port, read from the environment once, at start.

The rule: an invalid value stops the start with one clear sentence; it is never replaced by a default.
"""

from __future__ import annotations

import ipaddress
from collections.abc import Mapping
from dataclasses import dataclass

DEFAULT_PORT = 8080
# In a container the service must listen on all interfaces; on a laptop, HOST=127.0.0.1 limits it to loopback.
DEFAULT_HOST = "0.0.0.0"  # noqa: S104


class InvalidSetting(ValueError):
    """An environment variable has an invalid value; the message says which, and which values are valid."""


@dataclass(frozen=True)
class Settings:
    """`host`: an IP address; `port`: 0 to 65535, 0 for any free one."""

    host: str
    port: int


def read_settings(environ: Mapping[str, str]) -> Settings:
    """Read `HOST` and `PORT`; unset or empty ones have defaults. Raises `InvalidSetting`."""
    host = environ.get("HOST") or DEFAULT_HOST
    port = environ.get("PORT") or str(DEFAULT_PORT)
    try:
        ipaddress.ip_address(host)
    except ValueError as error:
        raise InvalidSetting(f"HOST must be an IP address, for example 127.0.0.1; it is {host!r}.") from error
    if not (port.isascii() and port.isdigit() and len(port) <= 5 and int(port) <= 65535):
        raise InvalidSetting(f"PORT must be a number from 0 to 65535; it is {port!r}.")
    return Settings(host, int(port))
