"""App Runner's health check: a TCP connection, or an HTTP request answered with 200.

Rule: straight to the port, with no proxy and no redirect, so that only the service itself can answer.
"""

from __future__ import annotations

import contextlib
import http.client
import socket

from localcloud.apprunner.deployment import HealthCheck


def is_healthy(host: str, port: int, check: HealthCheck) -> bool:
    """Check once."""
    try:
        if check.path is None:
            socket.create_connection((host, port), check.timeout).close()
            return True
        with contextlib.closing(http.client.HTTPConnection(host, port, timeout=check.timeout)) as connection:
            connection.request("GET", check.path)
            return connection.getresponse().status == http.client.OK
    except (OSError, http.client.HTTPException):
        return False
