"""The engine's errors are translated here: a table of its diagnostics, and whether trying again can help.

The patterns are messages of App Runner's API and of the AWS provider's waiters; the first match decides.
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
        "Pulumi has no backend: set PULUMI_BACKEND_URL (file://…, s3://…) or PULUMI_ACCESS_TOKEN (Pulumi Cloud).",
    ),
    (
        r"unable to open bucket file:",
        Terminal,
        ErrorCode.NO_FOLDER,
        "The folder in PULUMI_BACKEND_URL does not exist: create it first.",
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
        "The engine's AWS plug-in ended during the operation.",
    ),
    (
        r"ExpiredToken|RequestExpired",
        Transient,
        ErrorCode.CREDENTIALS_EXPIRED,
        "The credentials expired during the operation.",
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
        "Another service has this name already; it was left alone. Remove or rename it.",
    ),
    (
        r"CREATE_FAILED",
        Terminal,
        ErrorCode.CREATE_FAILED,
        "App Runner could not start the service: the image does not exist, or the application failed its health check.",
    ),
    (r"DELETE_FAILED", Transient, ErrorCode.DELETE_FAILED, "App Runner could not delete the service."),
    (
        r"current state: DELETED",
        Transient,
        ErrorCode.SERVICE_GONE,
        "The service was removed outside fibfactory; the next attempt reads the cloud first.",
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
        "AWS is throttling or had an internal error.",
    ),
    (
        r"connection (refused|reset)|i/o timeout|context deadline exceeded|StatusCode: 0,|no such host|EOF|TLS handshake"
        r"|Could not connect|Connection was closed",
        Transient,
        ErrorCode.AWS_UNREACHABLE,
        "AWS could not be reached.",
    ),
    (
        # The worker's role may change services with the platform's tag, and a deleted service has no tags.
        r"not authorized to perform: apprunner:(Update|Delete)Service .*no identity-based policy allows",
        Transient,
        ErrorCode.SERVICE_GONE,
        "The service is gone or lost the platform's tag; the next attempt reads the cloud first.",
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
    """The error that a failed CLI command means. `diagnostics` are the engine's own error messages, oldest first.

    `hidden` values are removed from the message.
    """
    if stopped:
        return Interrupted("Stopped gracefully; the state has everything that was made until then.")
    if isinstance(error, CliKilled):
        return Transient("A signal ended the engine's process; it may have run out of memory.", ErrorCode.ENGINE_KILLED)
    if isinstance(error, ConcurrentUpdateError):
        return Terminal(
            "Another process holds the lock of this stack. Find out who runs Pulumi on it; if nobody does, run "
            "`pulumi cancel` in that stack, then request it again.",
            ErrorCode.STACK_LOCKED,
        )
    if isinstance(error, StackNotFoundError):
        return Terminal(
            "The stack does not exist although it was just created. Look into the state bucket.",
            ErrorCode.STACK_MISSING,
        )
    said = " ".join(line for line in diagnostics if not _NOISE.search(line)) or str(error).rpartition("stderr:")[2]
    # The patterns are matched before values are hidden, as a value may be part of the engine's own message, and before the text
    # is cut: what came last may be the reason.
    whole, shown = _on_one_line(said), _on_one_line(without_values(said, hidden))[:_LONGEST]
    for pattern, kind, code, meaning in _TABLE:
        if re.search(pattern, whole):
            return kind(f"{meaning} The engine said: {shown}", code)
    return Terminal(f"Pulumi failed: {shown}", ErrorCode.ENGINE_FAILED)


def _on_one_line(text: str) -> str:
    return re.sub(r"\s+", " ", text)
