"""The Reports port on DynamoDB: reports of sweeps, the place for a running sweep, and what deep sweeps suspect."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime
from functools import cache
from typing import Any

from botocore.exceptions import ClientError
from pydantic import TypeAdapter

from orchestrator.adapters.aws_errors import error_code, translating
from orchestrator.adapters.dynamodb.items import timestamp
from orchestrator.domain.sweeps import SweepReport

_RUNNING = {"pk": "SWEEP", "sk": "RUNNING"}
_SUSPECTS = {"pk": "SWEEP", "sk": "SUSPECTS"}


class DynamoReports:
    """The Reports port on one table."""

    def __init__(self, client: Any, table: str) -> None:
        self._client = client
        self._table = table

    def write(self, report: SweepReport) -> None:
        text = _adapter().dump_json(report).decode()
        with translating("writing a sweep's report"):
            self._client.put_item(TableName=self._table, Item={**_report_key(report.id), "report": text})

    def read(self, sweep_id: str) -> SweepReport | None:
        with translating("reading a sweep's report"):
            answer = self._client.get_item(TableName=self._table, Key=_report_key(sweep_id), ConsistentRead=True)
        return _adapter().validate_json(answer["Item"]["report"]) if "Item" in answer else None

    def acquire(self, sweep_id: str, now: datetime, until: datetime) -> bool:
        return self._put_running(
            {"holder": sweep_id, "until": timestamp(until)},
            # A sweep may overwrite its own row, because the SDK repeats a write whose answer was lost.
            ConditionExpression="attribute_not_exists(pk) OR #until <= :now OR holder = :holder",
            ExpressionAttributeNames={"#until": "until"},
            ExpressionAttributeValues={":now": timestamp(now), ":holder": sweep_id},
        )

    def release(self, sweep_id: str) -> None:
        self._put_running(
            {"holder": "", "until": ""},
            ConditionExpression="holder = :holder",
            ExpressionAttributeValues={":holder": sweep_id},
        )

    def suspects(self) -> Mapping[str, datetime]:
        with translating("reading the suspects of the last deep sweep"):
            answer = self._client.get_item(TableName=self._table, Key=_SUSPECTS, ConsistentRead=True)
        found = answer.get("Item", {}).get("suspects", {})
        return {environment_id: datetime.fromisoformat(since) for environment_id, since in found.items()}

    def suspect(self, suspects: Mapping[str, datetime]) -> None:
        since = {environment_id: timestamp(moment) for environment_id, moment in suspects.items()}
        with translating("writing the suspects of a deep sweep"):
            self._client.put_item(TableName=self._table, Item={**_SUSPECTS, "suspects": since})

    def _put_running(self, row: Mapping[str, str], **condition: Any) -> bool:
        with translating("taking turns between sweeps"):
            try:
                self._client.put_item(TableName=self._table, Item={**_RUNNING, **row}, **condition)
            except ClientError as error:
                if error_code(error) == "ConditionalCheckFailedException":
                    return False
                raise
        return True


def _report_key(sweep_id: str) -> dict[str, str]:
    return {"pk": f"SWEEP#{sweep_id}", "sk": "REPORT"}


@cache
def _adapter() -> TypeAdapter[SweepReport]:
    return TypeAdapter(SweepReport)
