"""The failures that the engine's diagnostics stand for, and whether a retry can help."""

from __future__ import annotations

import pytest
from pulumi.automation import CommandResult
from pulumi.automation.errors import create_command_error

from orchestrator.adapters.pulumi.errors import failure_of
from orchestrator.adapters.pulumi.process import CliKilled
from orchestrator.domain.errors import Interrupted, Terminal, Transient

CREATE = "creating App Runner Service (fib-app-test1-service): operation error AppRunner: CreateService, "


def failure_from(*diagnostics: str, stderr: str = "", stopped: bool = False) -> Exception:
    error = create_command_error(CommandResult(stdout="", stderr=stderr, code=255))
    return failure_of(error, list(diagnostics), stopped=stopped)


@pytest.mark.parametrize(
    ("diagnostic", "kind", "code"),
    [
        (CREATE + "ServiceQuotaExceededException: Max services", Terminal, "quota"),
        (
            CREATE + "InvalidRequestException: Error in assuming access role ARN arn:aws:iam::1:role/x",
            Terminal,
            "access_role",
        ),
        (CREATE + "InvalidRequestException: Error in assuming instance role ARN x", Transient, "instance_role"),
        (CREATE + "InvalidRequestException: Service with the provided name already exists: x", Terminal, "name_taken"),
        ("unexpected state 'CREATE_FAILED', wanted target 'RUNNING'", Terminal, "create_failed"),
        ("unexpected state 'DELETE_FAILED', wanted target 'DELETED'", Transient, "delete_failed"),
        ("InvalidStateException: cannot be updated in the current state: OPERATION_IN_PROGRESS", Transient, "busy"),
        ("InvalidStateException: cannot be updated in the current state: DELETED", Transient, "service_gone"),
        (CREATE + "ThrottlingException: Rate exceeded", Transient, "aws_unavailable"),
        (CREATE + "https response error StatusCode: 0, dial tcp: lookup x: no such host", Transient, "aws_unreachable"),
        (CREATE + "ExpiredTokenException: The security token is expired", Transient, "credentials_expired"),
        (
            CREATE + "AccessDeniedException: User is not authorized to perform: apprunner:CreateService",
            Terminal,
            "access_denied",
        ),
        (
            "AccessDeniedException: User: x is not authorized to perform: apprunner:DeleteService on resource: y because no "
            "identity-based policy allows the apprunner:DeleteService action",
            Transient,
            "service_gone",
        ),
        (
            "AccessDeniedException: User: x is not authorized to perform: apprunner:DeleteService on resource: y with an "
            "explicit deny in a service control policy",
            Terminal,
            "access_denied",
        ),
        (CREATE + "InvalidRequestException: something else", Terminal, "refused"),
        (CREATE + "https response error StatusCode: 500, InternalServiceErrorException", Transient, "aws_unavailable"),
        (CREATE + "https response error StatusCode: 503", Transient, "aws_unavailable"),
        (
            "timeout while waiting for state to become 'RUNNING' (last state: 'OPERATION_IN_PROGRESS')",
            Transient,
            "busy",
        ),
        ("write tcp 127.0.0.1:1->127.0.0.1:2: connection reset by peer", Transient, "aws_unreachable"),
        ("blob (key x) (code=Unknown): SlowDown: Please reduce your request rate", Transient, "aws_unavailable"),
        ("rpc error: code = Unavailable desc = error reading from server: EOF", Transient, "plugin_died"),
        ("open /tmp/fibfactory-worker-1-2/x: no space left on device", Transient, "disk_full"),
        ("python inline source runtime error: KeyError", Terminal, "engine_failed"),
    ],
)
def test_a_diagnostic_determines_the_kind_and_code_of_the_failure(
    diagnostic: str, kind: type[Exception], code: str
) -> None:
    failure = failure_from("update failed", diagnostic)
    assert type(failure) is kind
    assert failure.code == code  # type: ignore[attr-defined]
    assert "update failed" not in str(failure)


def test_a_stopped_operation_is_interrupted_whatever_its_diagnostics() -> None:
    assert isinstance(failure_from("ServiceQuotaExceededException", stopped=True), Interrupted)


def test_a_killed_cli_is_a_transient_failure() -> None:
    failure = failure_of(CliKilled(CommandResult(stdout="", stderr="", code=-9)), [], stopped=False)
    assert isinstance(failure, Transient) and failure.code == "engine_killed"


def test_a_locked_stack_is_a_terminal_failure() -> None:
    failure = failure_from(stderr="error: the stack is currently locked by 1 lock(s)")
    assert isinstance(failure, Terminal) and failure.code == "stack_locked"


def test_without_diagnostics_the_message_is_the_clis_shortened_output() -> None:
    failure = failure_from(stderr="error: " + "x" * 10_000)
    assert isinstance(failure, Terminal) and failure.code == "engine_failed"
    assert len(str(failure)) < 2000
    assert "code:" not in str(failure)


def test_the_reason_counts_also_at_the_end_of_a_long_message() -> None:
    failure = failure_from("the diff: " + "x " * 2000, CREATE + "ThrottlingException: Rate exceeded")
    assert isinstance(failure, Transient) and failure.code == "aws_unavailable"
    assert len(failure.message) < 2000
