"""Asks for workers by asynchronous invocations, which AWS delivers mostly once, sometimes twice, rarely not at all."""

from __future__ import annotations

import json
from collections.abc import Callable
from typing import Any

from aws_lambda_powertools import Logger
from botocore.exceptions import BotoCoreError, ClientError

from orchestrator.adapters.aws_errors import translating

logger = Logger(child=True)


class LambdaDispatcher:
    """The Dispatcher port on the worker function.

    A refused request for work is only logged: the record is stored already, and the light sweep asks again.
    """

    def __init__(self, client: Any, function: str, correlation_id: Callable[[], str | None]) -> None:
        self._client = client
        self._function = function
        self._correlation_id = correlation_id

    def work(self, environment_id: str) -> None:
        try:
            self._invoke(environment=environment_id)
        except (ClientError, BotoCoreError) as error:
            logger.warning("Asking for a worker failed; the light sweep asks again.", error=str(error))

    def sweep(self, sweep_id: str) -> None:
        with translating("asking for a sweep"):
            self._invoke(sweep=sweep_id)

    def _invoke(self, **event: str) -> None:
        payload = json.dumps({**event, "correlation_id": self._correlation_id()}).encode()
        self._client.invoke(FunctionName=self._function, InvocationType="Event", Payload=payload)
