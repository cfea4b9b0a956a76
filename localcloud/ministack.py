"""Starting ministack, which stands in for all of AWS but App Runner.

Rule: it gets a short environment that is listed here in full, because the functions it runs inherit all of it: a
variable that leaks in from the user's shell would hide a setting that the platform forgot to give its functions.
"""

from __future__ import annotations

import os
import sys
from pathlib import Path

from localcloud.apprunner.deployment import HealthCheck
from localcloud.processes import MARK
from localcloud.settings import HOST, REGION, Ports, find_pulumi_bin

# With an IAM endpoint, and by its path: this folder must not get onto ministack's search path, where its own name is a module's.
COMMAND = (sys.executable, "-P", str(Path(__file__).with_name("iam_endpoint.py")))

IAM_ENDPOINT = "/_localcloud/iam"
"""The path at which it answers whether a signer has a permission: `localcloud/iam_endpoint.py`."""

READY = HealthCheck("/_ministack/ready", timeout=5)
"""How to see that it answers."""


def search_path() -> str:
    """PATH for the cloud's processes: the Pulumi CLI, the virtual environment, the system."""
    folders = [find_pulumi_bin(os.environ), Path(sys.executable).parent]
    return os.pathsep.join([str(folder) for folder in folders if folder] + ["/usr/local/bin", "/usr/bin", "/bin"])


def base_environment(folder: Path, mark: str) -> dict[str, str]:
    """The environment of every process of the cloud; its home and temporary folder are removed with the cloud."""
    return {
        "PATH": search_path(),
        "HOME": str(folder / "home"),
        "TMPDIR": str(folder / "tmp"),
        "LANG": "C.UTF-8",
        MARK: mark,
    }


def environment(ports: Ports, folder: Path, mark: str) -> dict[str, str]:
    """ministack's whole environment. The names of its own settings are read from its source, version 1.5.33."""
    return base_environment(folder, mark) | {
        "AWS_ENDPOINT_URL_APPRUNNER": f"http://{HOST}:{ports.apprunner}",
        "AWS_ENDPOINT_URL_RESOURCE_GROUPS_TAGGING_API": f"http://{HOST}:{ports.apprunner}",
        "PULUMI_DEBUG_PROVIDERS": f"aws:{ports.provider},docker:{ports.provider}",
        "BIND_HOST": HOST,
        "GATEWAY_PORT": str(ports.ministack),
        "AUTH": "true",
        "IOT_MTLS_ENABLED": "0",
        "SFTP_ENABLED": "0",
        "MINISTACK_REGION": REGION,
        # Invocations at once, all functions together. ministack's own limit follows the machine's memory and may be 16.
        "LAMBDA_ACCOUNT_CONCURRENCY": "200",
        "LOG_LEVEL": "INFO",
    }
