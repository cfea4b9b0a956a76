"""Errors of AWS become one sentence that says what happened and one that says what to do."""

from __future__ import annotations

import pytest
from botocore import exceptions as aws

from bootstrap.errors import AccountError, explained, known_cause, refusal


def sentence(error: Exception) -> AccountError:
    with pytest.raises(AccountError) as caught, explained("look at the state bucket"):
        raise error
    assert caught.value.__cause__ is error
    return caught.value


def client_error(code: str, message: str) -> aws.ClientError:
    return aws.ClientError({"Error": {"Code": code, "Message": message}}, "DescribeKey")


def test_missing_credentials_ask_to_sign_in() -> None:
    error = sentence(aws.NoCredentialsError())
    assert "no usable AWS credentials" in error.message and "AWS_PROFILE" in error.advice


def test_a_profile_that_does_not_exist_is_named() -> None:
    assert "nobodys" in sentence(aws.ProfileNotFound(profile="nobodys")).message


def test_a_missing_region_is_named() -> None:
    assert "--region" in sentence(aws.NoRegionError()).advice


def test_an_unknown_region_is_reported_as_unreachable() -> None:
    error = sentence(aws.EndpointConnectionError(endpoint_url="https://kms.us-west-9.amazonaws.com"))
    assert "us-west-9" in error.message and "region" in error.advice


@pytest.mark.parametrize("code", ["ExpiredToken", "InvalidClientTokenId", "SignatureDoesNotMatch"])
def test_rejected_credentials_ask_to_sign_in(code: str) -> None:
    error = sentence(client_error(code, "no"))
    assert code in error.message and "Sign in" in error.advice


def test_a_refusal_names_aws_code_and_the_action() -> None:
    message = "User: arn:aws:iam::0:user/x is not authorized to perform: kms:CreateKey on resource: * because no policy"
    error = sentence(client_error("AccessDeniedException", message))
    assert "AccessDeniedException for kms:CreateKey on *" in error.message and "permission" in error.advice


def test_a_refusal_without_details_names_its_operation() -> None:
    assert "AccessDenied for DescribeKey" in sentence(client_error("AccessDenied", "Access Denied")).message


@pytest.mark.parametrize(
    ("code", "message"),
    [
        ("LimitExceededException", "too many keys"),
        ("LimitExceeded", "Cannot exceed quota for RolesPerAccount: 1000"),
        ("ServiceQuotaExceededException", "30 services"),
        ("TooManyBuckets", "You have attempted to create more buckets than allowed"),
        ("InvalidParameterValueException", "decreases account's UnreservedConcurrentExecution below its minimum [10]"),
        ("CodeStorageExceededException", "Code storage limit exceeded."),
    ],
)
def test_a_reached_quota_is_reported_with_awss_message(code: str, message: str) -> None:
    error = sentence(client_error(code, message))
    assert "quota" in error.message and f"{code}: {message}" in error.message
    assert "Service Quotas" in error.advice


@pytest.mark.parametrize("code", ["ThrottlingException", "TooManyRequestsException", "ProvisionedThroughputExceeded"])
def test_throttling_is_not_reported_as_a_quota(code: str) -> None:
    assert known_cause(f"{code}: Rate exceeded") is None


def test_any_other_error_is_reported_with_awss_message() -> None:
    error = sentence(client_error("NotYetInvented", "who knows"))
    assert "NotYetInvented: who knows" in error.message


def test_an_expired_sso_session_asks_to_sign_in() -> None:
    error = sentence(aws.UnauthorizedSSOTokenError())
    assert "no usable AWS credentials" in error.message and "aws sso login" in error.advice


def test_a_broken_connection_is_reported_as_unreachable() -> None:
    error = sentence(aws.ConnectionClosedError(endpoint_url="https://kms.us-west-2.amazonaws.com"))
    assert "can't be reached" in error.message


def test_a_docker_that_does_not_answer_comes_with_advice() -> None:
    cause = known_cause(
        "Cannot connect to the Docker daemon at unix:///var/run/docker.sock. Is the docker daemon running?"
    )
    assert cause and "Docker does not answer" in cause[0] and "--image-uri" in cause[1]


def test_other_exceptions_are_not_translated() -> None:
    with pytest.raises(KeyError), explained("look"):
        raise KeyError("a bug")


def test_an_action_that_aws_writes_in_capitals_is_found() -> None:
    assert refusal("User: x is not authorized to perform: SNS:CreateTopic on resource: y") == "SNS:CreateTopic on y"


def test_an_action_is_found_in_a_providers_long_message() -> None:
    text = (
        "creating IAM Role (x): operation error IAM: CreateRole, https response error StatusCode: 403, api error AccessDenied: "
        'User: arn:aws:iam::0:user/x is not authorized to perform: iam:CreateRole on resource: "arn:aws:iam::0:role/x" because'
    )
    assert refusal(text) == "iam:CreateRole on arn:aws:iam::0:role/x"
    assert refusal("something else") is None
