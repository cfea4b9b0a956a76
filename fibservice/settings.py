"""Where the server listens, read from the environment once, at start.

The rule kept: a bad value stops the start with one clear sentence; it is never replaced by a guess.
"""

from __future__ import annotations

import ipaddress
from collections.abc import Mapping
from dataclasses import dataclass

DEFAULT_PORT = 8080
# In a container the world outside reaches the service through any interface; on a laptop HOST=127.0.0.1 keeps it in.
DEFAULT_HOST = "0.0.0.0"  # noqa: S104


class InvalidSetting(ValueError):
    """A variable of the environment can't be used; its message says which, and what would do."""


@dataclass(frozen=True)
class Settings:
    """`host`: an IP address; `port`: 0 to 65535, 0 for any free one."""

    host: str
    port: int


def read_settings(environ: Mapping[str, str]) -> Settings:
    """`HOST` and `PORT` with their defaults; empty is unset. Raises `InvalidSetting`."""
    host = environ.get("HOST") or DEFAULT_HOST
    port = environ.get("PORT") or str(DEFAULT_PORT)
    try:
        ipaddress.ip_address(host)
    except ValueError as error:
        raise InvalidSetting(f"HOST must be an IP address, for example 127.0.0.1; it is {host!r}.") from error
    if not (port.isascii() and port.isdigit() and len(port) <= 5 and int(port) <= 65535):
        raise InvalidSetting(f"PORT must be a number from 0 to 65535; it is {port!r}.")
    return Settings(host, int(port))
