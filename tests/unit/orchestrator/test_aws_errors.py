"""Which errors of AWS are transient."""

from __future__ import annotations

import pytest
from botocore.exceptions import ClientError, EndpointConnectionError, IncompleteReadError, ParamValidationError

from orchestrator.adapters.aws_errors import translated
from orchestrator.domain.errors import Terminal, Transient


def client_error(code: str, status: int = 400) -> ClientError:
    answer = {"Error": {"Code": code, "Message": "no"}, "ResponseMetadata": {"HTTPStatusCode": status}}
    return ClientError(answer, "GetResources")  # type: ignore[arg-type]


@pytest.mark.parametrize(
    "error",
    [
        client_error("ThrottledException"),
        client_error("ThrottlingException"),
        client_error("TooManyRequestsException"),
        client_error("RequestTimeoutException"),
        client_error("ExpiredTokenException"),
        client_error("SomethingNew", 503),
        EndpointConnectionError(endpoint_url="http://127.0.0.1:1"),
        IncompleteReadError(actual_bytes=1, expected_bytes=2),
    ],
)
def test_a_temporary_aws_error_is_transient(error: Exception) -> None:
    assert isinstance(translated(error, "looking"), Transient)


@pytest.mark.parametrize(
    "error", [client_error("AccessDeniedException"), ParamValidationError(report="no such parameter")]
)
def test_any_other_aws_error_is_terminal(error: Exception) -> None:
    assert isinstance(translated(error, "looking"), Terminal)
