"""The engine's errors as ours: a table of what its diagnostics say, and whether trying again can help.

The messages are those of App Runner's API and of the AWS provider's waiters; the first pattern that is found decides.
"""

from __future__ import annotations

import re
from collections.abc import Collection

from pulumi.automation import CommandError, ConcurrentUpdateError, StackNotFoundError

from orchestrator.adapters.pulumi.process import CliKilled
from orchestrator.adapters.redaction import without_values
from orchestrator.domain.errors import ErrorCode, Interrupted, OperationFailed, Terminal, Transient

_TABLE: tuple[tuple[str, type[OperationFailed], ErrorCode, str], ...] = (
    (
        r"PULUMI_ACCESS_TOKEN must be set",
        Terminal,
        ErrorCode.NO_BACKEND,
        "Pulumi was told no backend: set PULUMI_BACKEND_URL (file://…, s3://…) or PULUMI_ACCESS_TOKEN (Pulumi Cloud).",
    ),
    (
        r"unable to open bucket file:",
        Terminal,
        ErrorCode.NO_FOLDER,
        "The folder that PULUMI_BACKEND_URL names is not there: make it first.",
    ),
    (
        r"passphrase must be set|incorrect passphrase",
        Terminal,
        ErrorCode.PASSPHRASE,
        "The stack's secrets are locked with a passphrase: set PULUMI_CONFIG_PASSPHRASE to it.",
    ),
    (r"no space left on device", Transient, ErrorCode.DISK_FULL, "The worker's /tmp is full."),
    (
        r"transport is closing|code = Unavailable|plugin .*exited|could not load plugin",
        Transient,
        ErrorCode.PLUGIN_DIED,
        "The engine's plug-in for AWS ended in the middle.",
    ),
    (
        r"ExpiredToken|RequestExpired",
        Transient,
        ErrorCode.CREDENTIALS_EXPIRED,
        "The credentials ran out in the middle.",
    ),
    (
        r"ServiceQuotaExceeded",
        Terminal,
        ErrorCode.QUOTA,
        "App Runner's quota of services is used up; remove one or have it raised.",
    ),
    (
        r"Error in assuming access role|access role.*(assume|invalid)",
        Terminal,
        ErrorCode.ACCESS_ROLE,
        "App Runner can't use the access role to pull the image; check the platform's access role.",
    ),
    (
        r"Error in assuming instance role",
        Transient,
        ErrorCode.INSTANCE_ROLE,
        "App Runner can't assume the instance role yet.",
    ),
    (
        r"Service with the provided name already exists",
        Terminal,
        ErrorCode.NAME_TAKEN,
        "A service of this name runs already, and it is not the environment's own; it is left alone.",
    ),
    (
        r"CREATE_FAILED",
        Terminal,
        ErrorCode.CREATE_FAILED,
        "App Runner could not start the service: the image is missing, or the application did not pass its health check.",
    ),
    (r"DELETE_FAILED", Transient, ErrorCode.DELETE_FAILED, "App Runner could not delete the service."),
    (
        r"current state: DELETED",
        Transient,
        ErrorCode.SERVICE_GONE,
        "Somebody else removed the service; the next try looks first.",
    ),
    (
        r"OPERATION_IN_PROGRESS|InvalidStateException",
        Transient,
        ErrorCode.BUSY,
        "App Runner was busy with the service.",
    ),
    (
        r"Throttling|TooManyRequests|Rate exceeded|SlowDown|Internal(Service|Server)?Error|InternalFailure|ServiceUnavailable"
        r"|RequestTimeout|StatusCode: 5\d\d",
        Transient,
        ErrorCode.AWS_UNAVAILABLE,
        "AWS asked to come again later.",
    ),
    (
        r"connection (refused|reset)|i/o timeout|context deadline exceeded|StatusCode: 0,|no such host|EOF|TLS handshake"
        r"|Could not connect|Connection was closed",
        Transient,
        ErrorCode.AWS_UNREACHABLE,
        "AWS could not be reached.",
    ),
    (
        # The worker's role may change what has the platform's tag, and a deleted service has no tags.
        r"not authorized to perform: apprunner:(Update|Delete)Service .*no identity-based policy allows",
        Transient,
        ErrorCode.SERVICE_GONE,
        "The service is gone, or lost the platform's tag; the next try looks first.",
    ),
    (
        r"AccessDenied|not authorized to perform",
        Terminal,
        ErrorCode.ACCESS_DENIED,
        "The worker's role may not do this.",
    ),
    (r"InvalidRequestException|ValidationException", Terminal, ErrorCode.REFUSED, "App Runner refused the request."),
)

_NOISE = re.compile(
    r"^(error: )?(update failed|preview failed|destroy failed)$|resource\(s\) failed|^\s*$", re.IGNORECASE
)
_LONGEST = 1500


def failure_of(
    error: CommandError, diagnostics: list[str], hidden: Collection[str] = (), *, stopped: bool
) -> OperationFailed:
    """What a failed CLI command means. `diagnostics` are the engine's own error messages, oldest first.

    `hidden`: values that the message must not have, whatever the engine says.
    """
    if stopped:
        return Interrupted("Stopped in order; what was made until then is in the state.")
    if isinstance(error, CliKilled):
        return Transient(
            "The engine's process was ended by a signal, perhaps for want of memory.", ErrorCode.ENGINE_KILLED
        )
    if isinstance(error, ConcurrentUpdateError):
        return Terminal(
            "Another process holds the lock of this stack. Find out who runs Pulumi on it; when nobody does, "
            "`pulumi cancel` in that stack removes the lock.",
            ErrorCode.STACK_LOCKED,
        )
    if isinstance(error, StackNotFoundError):
        return Terminal(
            "The stack is not there, although it was made a moment ago. Look into the state bucket.",
            ErrorCode.STACK_MISSING,
        )
    said = " ".join(line for line in diagnostics if not _NOISE.search(line)) or str(error).rpartition("stderr:")[2]
    # What it means is read off the engine's own words: a variable whose value is one of them shall not change that.
    whole, shown = _on_one_line(said), _on_one_line(without_values(said, hidden))
    for pattern, kind, code, meaning in _TABLE:
        if re.search(pattern, whole):
            return kind(f"{meaning} The engine said: {shown}", code)
    return Terminal(f"Pulumi failed: {shown}", ErrorCode.ENGINE_FAILED)


def _on_one_line(text: str) -> str:
    return re.sub(r"\s+", " ", text)[:_LONGEST]
