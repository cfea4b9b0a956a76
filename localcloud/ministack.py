"""Starting ministack, which stands in for all of AWS but App Runner.

Rule: it gets a short environment that is listed here in full, because the functions it runs inherit all of it: a
variable that leaks in from the person's shell would hide a setting that the platform forgot to give its functions.
"""

from __future__ import annotations

import http.client
import os
import sys
from pathlib import Path

from localcloud.processes import MARK
from localcloud.settings import HOST, REGION, CloudSettings, Ports

# With a door more, and by its path: this folder must not get onto ministack's search path, where its own name is a module's.
COMMAND = (sys.executable, "-P", str(Path(__file__).with_name("iam_endpoint.py")))

IAM_DOOR = "/_localcloud/iam"
"""Where it answers whether a signer may do something: `localcloud/iam_endpoint.py`."""


def search_path(settings: CloudSettings) -> str:
    """PATH for the cloud's processes: the Pulumi CLI, the virtual environment, the system."""
    folders = [settings.pulumi_bin, Path(sys.executable).parent]
    return os.pathsep.join([str(folder) for folder in folders if folder] + ["/usr/local/bin", "/usr/bin", "/bin"])


def base_environment(settings: CloudSettings, folder: Path, mark: str) -> dict[str, str]:
    """What every process of the cloud gets; its home and temporary folder go when the cloud goes."""
    return {
        "PATH": search_path(settings),
        "HOME": str(folder / "home"),
        "TMPDIR": str(folder / "tmp"),
        "LANG": "C.UTF-8",
        MARK: mark,
    }


def environment(settings: CloudSettings, ports: Ports, folder: Path, mark: str) -> dict[str, str]:
    """ministack's whole environment. The names of its own settings are read from its source, version 1.5.33."""
    return base_environment(settings, folder, mark) | {
        "AWS_ENDPOINT_URL_APPRUNNER": f"http://{HOST}:{ports.apprunner}",
        "AWS_ENDPOINT_URL_RESOURCE_GROUPS_TAGGING_API": f"http://{HOST}:{ports.apprunner}",
        "PULUMI_DEBUG_PROVIDERS": f"aws:{ports.provider},docker:{ports.provider}",
        "BIND_HOST": HOST,
        "GATEWAY_PORT": str(ports.ministack),
        "AUTH": "true",
        "IOT_MTLS_ENABLED": "0",
        "SFTP_ENABLED": "0",
        "MINISTACK_REGION": REGION,
        "LAMBDA_ACCOUNT_CONCURRENCY": str(settings.function_concurrency),
        "LOG_LEVEL": settings.log_level,
    }


def is_ready(port: int) -> bool:
    """Whether ministack answers."""
    connection = http.client.HTTPConnection(HOST, port, timeout=5)
    try:
        connection.request("GET", "/_ministack/ready")
        return connection.getresponse().status == 200
    except (OSError, http.client.HTTPException):
        return False
    finally:
        connection.close()
