"""Pulumi's state bucket, read and tidied without the CLI (its layout is that of Pulumi's self-managed S3 backend).

The rule: reads answer from S3 directly, so that no request and no sweep pays for `pulumi stack ls`.
"""

from __future__ import annotations

from typing import Any
from urllib.parse import urlsplit

from botocore.exceptions import ClientError

from orchestrator.adapters.aws_errors import error_code, translating
from orchestrator.errors import Transient
from orchestrator.names import PROJECT


class StateBucket:
    """The stacks of our project in the bucket that a backend URL (`s3://bucket?region=…`) names."""

    def __init__(self, client: Any, backend_url: str) -> None:
        self._client = client
        self._bucket = urlsplit(backend_url).netloc

    def exists(self, stack: str) -> bool:
        """Whether a checkpoint of the stack is there."""
        with translating("reading the state bucket"):
            try:
                self._client.head_object(Bucket=self._bucket, Key=f"{_stack_key(stack)}.json")
            except ClientError as error:
                if error_code(error) in ("404", "NoSuchKey", "NotFound"):
                    return False
                raise
        return True

    def tidy(self, stack: str) -> None:
        """Delete what `destroy --remove` leaves of a stack: its last checkpoint's copy, its backups and its history.

        The bucket is versioned: a deleted object is kept as long as its lifecycle rules say.
        """
        with translating("tidying the state bucket"):
            leftovers = [f"{_stack_key(stack)}.json.bak", f"{_stack_key(stack)}.pulumi-tags"]
            for folder in ("backups", "history"):
                pages = self._client.get_paginator("list_objects_v2").paginate(
                    Bucket=self._bucket, Prefix=f".pulumi/{folder}/{PROJECT}/{stack}/"
                )
                leftovers += [entry["Key"] for page in pages for entry in page.get("Contents", [])]
            for start in range(0, len(leftovers), 1000):
                batch = [{"Key": key} for key in leftovers[start : start + 1000]]
                answer = self._client.delete_objects(Bucket=self._bucket, Delete={"Objects": batch, "Quiet": True})
                if answer.get("Errors"):
                    raise Transient(f"The state bucket would not delete {answer['Errors'][0]['Key']}.", "state_untidy")


def _stack_key(stack: str) -> str:
    return f".pulumi/stacks/{PROJECT}/{stack}"
