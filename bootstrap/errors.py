"""The errors: each has one sentence that says what happened and one that says what to do.

The tree:

    BootstrapError
    ├── SettingsError      a setting or option is wrong; nothing was changed
    ├── AccountError       AWS refused or could not be reached
    ├── FoundationsError   the state bucket or the key exists and can't be used
    ├── EngineError        Pulumi failed; what it did before is recorded
    │   ├── StackLocked
    │   └── NoPlatform
    └── Interrupted        stopped by the operator: a signal, or the answer no

AWS's exceptions become these in `explained`, Pulumi's in `commands.platform_stack`; only `__main__` prints them.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from contextlib import contextmanager

from botocore import exceptions as aws

_REFUSED = re.compile(r"not authorized to perform: (?P<action>[A-Za-z0-9-]+:\w+)(?: on resource: (?P<resource>\S+))?")
_REFUSAL_CODES = {"AccessDenied", "AccessDeniedException", "UnauthorizedOperation", "403"}
_CREDENTIAL_CODES = (
    "AuthFailure",
    "ExpiredToken",
    "ExpiredTokenException",
    "InvalidClientTokenId",
    "RequestExpired",
    "SignatureDoesNotMatch",
    "UnrecognizedClientException",
)
_CREDENTIALS = re.compile(rf"\b(?P<code>{'|'.join(_CREDENTIAL_CODES)})\b")
# Each service has its own code for a quota. Throttling, which ends by itself, has others (`TooManyRequestsException`).
_QUOTA = re.compile(
    r"LimitExceeded|QuotaExceeded|QuotaReached|CodeStorageExceeded|TooManyBuckets|UnreservedConcurrentExecution|"
    r"Cannot exceed quota"
)
_DOCKER = re.compile(r"Cannot connect to the Docker daemon|[Dd]ocker daemon running|docker\.sock")


class BootstrapError(Exception):
    """`message` says what happened, `advice` what to do."""

    def __init__(self, message: str, advice: str = "") -> None:
        super().__init__(message)
        self.message = message
        self.advice = advice


class SettingsError(BootstrapError):
    """A setting or option is missing or wrong; nothing was changed."""


class AccountError(BootstrapError):
    """AWS refused, or could not be reached."""


class FoundationsError(BootstrapError):
    """The state bucket or the key exists and can't be used."""


class EngineError(BootstrapError):
    """A Pulumi operation failed; what it did before is recorded."""


class StackLocked(EngineError):
    """Another run holds the stack's lock, or was killed with it."""


class NoPlatform(EngineError):
    """There is no platform of this name in this account and region."""


class Interrupted(BootstrapError):
    """The operator stopped it, by a signal or by answering no."""


def refusal(text: str) -> str | None:
    """The action (and resource) that an AWS message `not authorized to perform …` names; None for other messages."""
    found = _REFUSED.search(text)
    if found is None:
        return None
    resource = (found["resource"] or "").strip('".,')
    return f"{found['action']} on {resource}" if resource else found["action"]


def known_cause(text: str) -> tuple[str, str] | None:
    """What happened and what to do, for the messages of AWS or Pulumi that are known; None for others."""
    if action := refusal(text):
        return f"AccessDenied for {action}", "Give your user or role that permission"
    if found := _CREDENTIALS.search(text):
        return f"AWS does not accept these credentials ({found['code']})", _SIGN_IN
    if _QUOTA.search(text):
        return (
            f"a quota of the account is reached: {text}",
            "Request a higher quota in Service Quotas, or remove what is not needed any more",
        )
    if _DOCKER.search(text):
        return f"Docker does not answer: {text}", NO_DOCKER_ADVICE
    return None


@contextmanager
def explained(doing: str) -> Iterator[None]:
    """Turn boto3's exceptions into AccountError; `doing` completes "AWS refused to …", such as "look at the state bucket"."""
    try:
        yield
    except aws.ClientError as error:
        raise _from_aws(error, doing) from error
    except aws.BotoCoreError as error:
        for kinds, message, advice in _WITHOUT_ANSWER:
            if isinstance(error, kinds):
                raise AccountError(message.format(error=error, doing=doing), advice) from error
        raise


def _from_aws(error: aws.ClientError, doing: str) -> AccountError:
    code, message = error.response["Error"].get("Code", "?"), error.response["Error"].get("Message", str(error))
    if code in _CREDENTIAL_CODES:
        return AccountError(f"AWS does not accept these credentials ({code}).", f"{_SIGN_IN}; then run it again.")
    if code in _REFUSAL_CODES:
        action = refusal(message) or error.operation_name
        return AccountError(
            f"AWS refused to {doing}: {code} for {action}.",
            "Give your user or role that permission, then run it again.",
        )
    if cause := known_cause(f"{code}: {message}"):
        what, advice = cause
        return AccountError(f"AWS could not {doing}: {what}.", f"{advice}; then run it again.")
    return AccountError(
        f"AWS could not {doing}: {code}: {message}", "Remove the cause and run it again; what exists already is kept."
    )


NO_DOCKER_ADVICE = "Start Docker (`docker info` must answer), or name an existing image with --image-uri"
_SIGN_IN = (
    "Sign in (for example `aws sso login`), or set AWS_PROFILE or AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY "
    "(a region that is not enabled for the account refuses all credentials, too)"
)
_NO_CREDENTIALS = (
    aws.NoCredentialsError,
    aws.PartialCredentialsError,
    aws.CredentialRetrievalError,
    aws.TokenRetrievalError,
    aws.SSOError,
    aws.LoginError,
)
_WITHOUT_ANSWER = (
    (_NO_CREDENTIALS, "There are no usable AWS credentials: {error}", f"{_SIGN_IN}; then run it again."),
    (aws.ProfileNotFound, "{error}.", "Set AWS_PROFILE to a profile of your AWS configuration, or unset it."),
    (aws.NoRegionError, "No region is chosen.", "Give --region, or set AWS_REGION."),
    (
        (aws.ConnectionError, aws.HTTPClientError),
        "AWS can't be reached to {doing}: {error}",
        "Check the region's name and the network, then run it again.",
    ),
)
"""What boto3 raises before AWS answers: what happened, and what to do."""
