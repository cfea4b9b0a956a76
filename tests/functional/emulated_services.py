"""Searches everything in the local cloud, in every service that it emulates, by all lists that need no arguments."""

from __future__ import annotations

import json
import subprocess
import sys
import threading
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from typing import Any

import boto3
from botocore import xform_name
from botocore.config import Config
from botocore.exceptions import BotoCoreError, ClientError

_LISTS = ("List", "Describe", "GetApis", "GetRestApis")
# Records of events rather than resources: they stay on AWS, too.
_NO_THINGS = {"cloudwatch": {"describe_alarm_history", "list_metrics"}}
_TELL = """
import json
from ministack.app import SERVICE_REGISTRY as registry
print(json.dumps([name for key, its in registry.items() for name in (key, its["module"], *its.get("aliases", ()))]))
"""
_MAKING = threading.Lock()


@dataclass(frozen=True)
class Look:
    """The operations that were called, and where a text was found: `service.operation` to the strings with it."""

    asked: tuple[str, ...]
    found: dict[str, set[str]]

    @property
    def services(self) -> set[str]:
        return {name.partition(".")[0] for name in self.asked}


def services(session: boto3.Session) -> list[str]:
    """The services that ministack says it emulates, by boto3's names, and App Runner."""
    # In a process of its own, as ministack sets up logging when it is imported.
    told = subprocess.run([sys.executable, "-c", _TELL], capture_output=True, text=True, check=True).stdout
    return sorted({"apprunner", *json.loads(told)} & set(session.get_available_services()))


def look_for(text: str, session: boto3.Session, within: list[str]) -> Look:
    """Ask every list of these services, and keep each string that contains the text."""
    with ThreadPoolExecutor(4) as pool:
        looks = list(pool.map(lambda service: list(_asked(session, service, text)), within))
    answers = [answer for look in looks for answer in look]
    return Look(tuple(name for name, _ in answers), {name: found for name, found in answers if found})


def _asked(session: boto3.Session, service: str, text: str) -> Iterator[tuple[str, set[str]]]:
    # Clients are created one at a time: creating them is not thread-safe, using them is.
    with _MAKING:
        client = session.client(service, config=Config(retries={"total_max_attempts": 1}, read_timeout=20))
    model = client.meta.service_model
    for operation in model.operation_names:
        shape = model.operation_model(operation).input_shape
        method = xform_name(operation)
        if (
            not operation.startswith(_LISTS)
            or (shape and shape.required_members)
            or method in _NO_THINGS.get(service, ())
        ):
            continue
        try:
            answer = getattr(client, method)()
        except (ClientError, BotoCoreError):
            # Not everything is emulated; an operation that is not has no resources either.
            continue
        yield f"{service}.{method}", {one for one in _strings(answer) if text in one}


def _strings(value: Any) -> Iterator[str]:
    if isinstance(value, str):
        yield value
    elif isinstance(value, dict):
        for name, item in value.items():
            yield name
            yield from _strings(item)
    elif isinstance(value, list):
        for item in value:
            yield from _strings(item)
