"""Pulumi's state bucket without the CLI: reads go to S3 directly, as `pulumi stack ls` takes seconds.

The layout is that of Pulumi's self-managed S3 backend.
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from datetime import datetime
from typing import Any
from urllib.parse import urlsplit

from pydantic import BaseModel, ValidationError

from orchestrator.adapters.aws_errors import none_if, translating
from orchestrator.domain.errors import ErrorCode, Terminal, Transient
from orchestrator.domain.names import PROJECT
from orchestrator.ports import Lock

_MISSING = ("404", "NoSuchKey", "NotFound")


class _LockFile(BaseModel):
    """The content of a lock (pulumi/pkg, backend/diy/lock.go)."""

    pid: int
    username: str
    hostname: str
    timestamp: datetime


class StateBucket:
    """The stacks of our project in the bucket that a backend URL (`s3://bucket?region=…`) names."""

    def __init__(self, client: Any, backend_url: str) -> None:
        self._client = client
        self._bucket = urlsplit(backend_url).netloc

    def exists(self, stack: str) -> bool:
        """Whether the stack has a checkpoint."""
        with translating("reading the state bucket"):
            key = f"{_stack_key(stack)}.json"
            return none_if(_MISSING, lambda: self._client.head_object(Bucket=self._bucket, Key=key)) is not None

    def names(self) -> Iterator[tuple[str, datetime]]:
        """The stacks of our project, and when each one's checkpoint was last written."""
        folder = _stack_key("")
        for entry in self._listed(folder):
            name, dot, suffix = entry["Key"].removeprefix(folder).partition(".")
            if dot and suffix == "json":
                yield name, entry["LastModified"]

    def checkpoint(self, stack: str) -> Mapping[str, Any] | None:
        """The stack's latest deployment (`resources`, `pending_operations`, …); None without a stack, {} for an empty one."""
        text = self._read(f"{_stack_key(stack)}.json")
        if text is None:
            return None
        try:
            return json.loads(text)["checkpoint"].get("latest") or {}
        except (ValueError, KeyError, TypeError, AttributeError) as error:
            raise Terminal(
                f"The checkpoint of {stack} can't be read. The state bucket is versioned: restore its last good version.",
                ErrorCode.BAD_STATE,
            ) from error

    def delete_empty_checkpoint(self, stack: str) -> None:
        """Delete the stack's checkpoint if it is empty: it has no secrets provider, so the CLI can't use it.

        The CLI creates a stack with an empty checkpoint and writes the secrets provider a moment later.
        """
        if self.checkpoint(stack) == {}:
            with translating("deleting an empty checkpoint"):
                self._client.delete_object(Bucket=self._bucket, Key=f"{_stack_key(stack)}.json")

    def pending_creates(self, stack: str) -> list[tuple[str, str, str | None]]:
        """The pending creates in the checkpoint: URN, type, and `serviceName` if it has one.

        Pulumi drops the other kinds of pending operations with any write of the checkpoint.
        """
        pending = (self.checkpoint(stack) or {}).get("pending_operations") or []
        made = [each["resource"] for each in pending if each["type"] == "creating"]
        return [(each["urn"], each["type"], (each.get("inputs") or {}).get("serviceName")) for each in made]

    def ids(self, stack: str) -> set[str]:
        """The ids, in the cloud, of the resources in the checkpoint."""
        return {each["id"] for each in (self.checkpoint(stack) or {}).get("resources") or [] if each.get("id")}

    def locks(self, stack: str) -> list[Lock]:
        """The CLI's locks on the stack, oldest first."""
        found = []
        for entry in self._listed(f".pulumi/locks/organization/{PROJECT}/{stack}/"):
            text = self._read(entry["Key"])
            if text is None:
                continue  # it was deleted meanwhile
            try:
                lock = _LockFile.model_validate_json(text)
            except ValidationError:  # not written by the CLI, so its holder is unknown
                found.append(Lock(entry["Key"], entry["LastModified"], "an unknown process"))
            else:
                by = f"{lock.username}@{lock.hostname}, process {lock.pid}"
                found.append(Lock(entry["Key"], lock.timestamp, by, lock.hostname))
        return sorted(found, key=lambda lock: lock.at)

    def break_lock(self, lock: Lock) -> None:
        with translating("breaking a lock"):
            self._client.delete_object(Bucket=self._bucket, Key=lock.key)

    def delete_stack_files(self, stack: str) -> None:
        """Delete what `destroy --remove` leaves of a stack: the copy of its checkpoint, its backups and its history.

        The bucket is versioned: its lifecycle rules say how long deleted objects are kept.
        """
        with translating("deleting a stack's files"):
            leftovers = [f"{_stack_key(stack)}.json.bak", f"{_stack_key(stack)}.pulumi-tags"]
            for folder in ("backups", "history"):
                leftovers += [entry["Key"] for entry in self._listed(f".pulumi/{folder}/{PROJECT}/{stack}/")]
            for start in range(0, len(leftovers), 1000):
                batch = [{"Key": key} for key in leftovers[start : start + 1000]]
                answer = self._client.delete_objects(Bucket=self._bucket, Delete={"Objects": batch, "Quiet": True})
                if answer.get("Errors"):
                    raise Transient(
                        f"The state bucket did not delete {answer['Errors'][0]['Key']}.", ErrorCode.STATE_UNTIDY
                    )

    def _listed(self, folder: str) -> Iterator[Mapping[str, Any]]:
        with translating("listing the state bucket"):
            pages = self._client.get_paginator("list_objects_v2").paginate(Bucket=self._bucket, Prefix=folder)
            for page in pages:
                yield from page.get("Contents", [])

    def _read(self, key: str) -> bytes | None:
        with translating("reading the state bucket"):
            return none_if(_MISSING, lambda: self._client.get_object(Bucket=self._bucket, Key=key)["Body"].read())


def _stack_key(stack: str) -> str:
    return f".pulumi/stacks/{PROJECT}/{stack}"
