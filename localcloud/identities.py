"""The identities of the local cloud: IAM users with access keys and real, enforced policies.

Rule: only this module signs with ministack's root keys, and only to make these users. Tests, demo and platform sign as
one of them.
"""

from __future__ import annotations

import json
import os
from dataclasses import dataclass
from typing import Any

import boto3
import botocore.session
from botocore.config import Config

from localcloud.settings import REGION

# ministack takes the signer with these keys for the account's root; they are good for nothing else.
_ROOT_KEY = "test"

_ADMINISTRATOR = {"Effect": "Allow", "Action": "*", "Resource": "*"}
_INVOKE_ONLY = {"Effect": "Allow", "Action": "execute-api:Invoke", "Resource": "*"}

STATEMENTS: dict[str, dict[str, str] | None] = {
    "operator": _ADMINISTRATOR,
    "alice": _INVOKE_ONLY,
    "bob": _INVOKE_ONLY,
    "nobody": None,
}


@dataclass(frozen=True)
class Identity:
    """An IAM user and its access key."""

    name: str
    user_arn: str
    access_key: str
    secret_key: str


def root_client(endpoint_url: str) -> Any:
    """An IAM client for the account's root, independent of the user's own AWS settings."""
    # Without a variable's name in the environment: AWS_PROFILE would win over a profile that is set to None.
    botocore_session = botocore.session.Session(session_vars={"profile": (None, None, None, None)})
    for name in ("config_file", "credentials_file"):
        botocore_session.set_config_variable(name, os.devnull)
    return boto3.Session(botocore_session=botocore_session).client(
        "iam",
        endpoint_url=endpoint_url,
        region_name=REGION,
        aws_access_key_id=_ROOT_KEY,
        aws_secret_access_key=_ROOT_KEY,
        config=Config(retries={"total_max_attempts": 2}, proxies={}),
    )


def make_identities(iam: Any) -> tuple[Identity, ...]:
    """Make the users of STATEMENTS with one access key each.

    botocore's errors pass: on a fresh cloud none is expected.
    """
    return tuple(_make(iam, name, statement) for name, statement in STATEMENTS.items())


def _make(iam: Any, name: str, statement: dict[str, str] | None) -> Identity:
    user = iam.create_user(UserName=name)["User"]
    if statement:
        document = json.dumps({"Version": "2012-10-17", "Statement": [statement]})
        iam.put_user_policy(UserName=name, PolicyName=name, PolicyDocument=document)
    key = iam.create_access_key(UserName=name)["AccessKey"]
    return Identity(name, user["Arn"], key["AccessKeyId"], key["SecretAccessKey"])
