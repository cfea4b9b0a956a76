"""Values and credentials are removed from vendors' messages before these are stored or logged (I8)."""

from __future__ import annotations

import json

import pytest
from botocore.exceptions import ClientError
from pulumi.automation import CommandError, CommandResult

from orchestrator.adapters.aws_errors import translated
from orchestrator.adapters.pulumi.errors import failure_of
from orchestrator.adapters.redaction import without_credentials, without_values

VALUES = ["hunter2", 'quo"ted', "two\nlines", "a&b<c>d", "grüße", " spaces around ", "back\\slash"]


def message_for(text: str, values: list[str]) -> str:
    """The message of the failure whose diagnostic is this text."""
    return failure_of(CommandError(CommandResult("", "", 255)), [text], values, stopped=False).message


@pytest.mark.parametrize("value", VALUES)
def test_a_value_is_hidden_however_it_is_quoted(value: str) -> None:
    quotations = [value, json.dumps(value), json.dumps(value, ensure_ascii=False), repr(value), f"'{value}'"]
    for text in quotations:
        message = message_for(f"InvalidRequestException: Value {text} at 'variables' is wrong", [value])
        assert value.strip() not in message and "[hidden]" in message, text
        assert " ".join(value.split()) not in message


PEM = "-----BEGIN PRIVATE KEY-----\nMIIEvQIBADANBgkqhkiG\nq83vEjRWeJCrze8S\n-----END PRIVATE KEY-----\n"


@pytest.mark.parametrize("between", ["\r\n", "\n    | ", " ", "\n+ "])
def test_a_value_of_several_lines_is_hidden_also_where_its_lines_are_wrapped_anew(between: str) -> None:
    text = f"InvalidRequestException: Value {between.join(PEM.splitlines())} at 'variables' is wrong"
    message = message_for(text, [PEM])
    assert "MIIEvQIBADANBgkqhkiG" not in message and "q83vEjRWeJCrze8S" not in message


def test_the_short_lines_of_a_value_hide_no_words() -> None:
    assert without_values("App Runner refused it: key", ["it\nkey\nApp\nRunner"]) == "App Runner refused it: key"


def test_a_longer_value_that_contains_a_shorter_one_is_hidden_whole() -> None:
    assert without_values("it was swordfish-and-more.", ["swordfish", "swordfish-and-more"]) == "it was [hidden]."


def test_very_short_values_hide_no_words() -> None:
    text = "App Runner refused the request: 1 validation error"
    assert without_values(text, ["1", "e", "", "ion"]) == text


def test_a_value_cut_off_at_the_end_of_the_message_is_hidden() -> None:
    secret = "s3cret" * 20
    assert "s3cret" not in message_for("x" * 1450 + secret, [secret])


@pytest.mark.parametrize("value", ["    ", "   r", "\n\n\n\n"])
def test_a_value_of_little_more_than_whitespace_hides_no_letters(value: str) -> None:
    assert without_values("Error creating", [value]) == "Error creating"


@pytest.mark.parametrize("value", ["Error in", "instance role", "assuming"])
def test_the_code_of_an_error_does_not_depend_on_the_callers_values(value: str) -> None:
    diagnostic = "Error in assuming instance role arn:aws:iam::123456789012:role/x"
    error = CommandError(CommandResult("", "", 1))
    failure = failure_of(error, [diagnostic], [value], stopped=False)
    assert failure.code == failure_of(error, [diagnostic], stopped=False).code == "instance_role"
    assert value not in failure.message.partition("The engine said:")[2]


def test_values_in_the_clis_output_are_hidden() -> None:
    error = CommandError(CommandResult("", "panic: hunter2", 2))
    assert "hunter2" not in failure_of(error, [], ["hunter2"], stopped=False).message


@pytest.mark.parametrize(
    "secret",
    [
        "AKIAIOSFODNN7EXAMPLE",
        "ASIAIOSFODNN7EXAMPLE",
        "eyJhbGciOiJSUzI1NiJ9.eyJzdWIiOiJ4In0.c2lnbmF0dXJl",
    ],
)
def test_keys_and_tokens_are_hidden_anywhere(secret: str) -> None:
    assert without_credentials(f"refused: {secret}.") == "refused: [hidden]."


@pytest.mark.parametrize(
    "text",
    [
        "GET https://s3/x?X-Amz-Signature=c0ffee&X-Amz-Date=1",
        "X-Amz-Security-Token=c0ffee",
        "host:sts\nx-amz-security-token:c0ffee\n\nhost",
        "Authorization: AWS4-HMAC-SHA256 Credential=x, SignedHeaders=host, Signature=c0ffee",
        "AWS_SECRET_ACCESS_KEY=c0ffee AWS_REGION=us-west-2",
        "AWS_SESSION_TOKEN=c0ffee",
    ],
)
def test_a_named_credential_is_hidden(text: str) -> None:
    shown = without_credentials(text)
    assert "c0ffee" not in shown and "[hidden]" in shown


def test_the_signed_text_in_an_aws_error_is_hidden() -> None:
    message = "The Canonical String should have been 'POST\n/\nx-amz-security-token:c0ffee\n'"
    answer = {
        "Error": {"Code": "SignatureDoesNotMatch", "Message": message},
        "ResponseMetadata": {"HTTPStatusCode": 403},
    }
    error = ClientError(answer, "PutItem")  # type: ignore[arg-type]
    assert "c0ffee" not in translated(error, "writing a record").message
