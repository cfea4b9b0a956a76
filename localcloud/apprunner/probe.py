"""App Runner's health check: a TCP connection, or an HTTP request answered with 200.

Rule: straight to the port, with no proxy and no redirect, so that nothing but the service itself can answer for it.
"""

from __future__ import annotations

import http.client
import socket

from localcloud.apprunner.runtime import HealthCheck


def is_healthy(host: str, port: int, check: HealthCheck) -> bool:
    """Check once."""
    if check.path is None:
        return _accepts(host, port, check.timeout)
    return _answers(host, port, check.path, check.timeout)


def _accepts(host: str, port: int, timeout: float) -> bool:
    with socket.socket(socket.AF_INET, socket.SOCK_STREAM) as connection:
        connection.settimeout(timeout)
        return connection.connect_ex((host, port)) == 0


def _answers(host: str, port: int, path: str, timeout: float) -> bool:
    connection = http.client.HTTPConnection(host, port, timeout=timeout)
    try:
        connection.request("GET", path)
        return connection.getresponse().status == http.client.OK
    except (OSError, http.client.HTTPException):
        return False
    finally:
        connection.close()
