"""Asks for workers by asynchronous invocations of the worker function: at least once, perhaps twice, rarely never."""

from __future__ import annotations

import json
import logging
from collections.abc import Callable
from typing import Any

from botocore.exceptions import BotoCoreError, ClientError

from orchestrator.adapters.aws.errors import translating

_log = logging.getLogger(__name__)


class LambdaDispatcher:
    """The Dispatcher port on the worker function.

    A refused request for work is logged and no more: the record is stored already, and the light sweep sends it again.
    """

    def __init__(self, client: Any, function: str, correlation_id: Callable[[], str | None]) -> None:
        self._client = client
        self._function = function
        self._correlation_id = correlation_id

    def work(self, environment_id: str) -> None:
        try:
            self._invoke(environment=environment_id)
        except (ClientError, BotoCoreError) as error:
            _log.warning("No worker could be asked for; the light sweep asks again.", extra={"error": str(error)})

    def sweep(self, sweep_id: str) -> None:
        with translating("asking for a sweep"):
            self._invoke(sweep=sweep_id)

    def _invoke(self, **event: str) -> None:
        payload = json.dumps({**event, "correlation_id": self._correlation_id()}).encode()
        self._client.invoke(FunctionName=self._function, InvocationType="Event", Payload=payload)
