"""The sweeps' plans and reports in DynamoDB, the one place for a running sweep, and what deep sweeps suspect."""

from __future__ import annotations

import json
from collections.abc import Mapping
from datetime import datetime
from typing import Any

from botocore.exceptions import ClientError

from orchestrator.adapters.aws.errors import error_code, translating
from orchestrator.adapters.dynamodb.items import item, plain, timestamp

_SUSPECTS = {"pk": "SWEEP", "sk": "SUSPECTS"}


class DynamoReports:
    """The Reports port on one table."""

    def __init__(self, client: Any, table: str) -> None:
        self._client = client
        self._table = table

    def write(self, sweep_id: str, report: Mapping[str, Any]) -> None:
        row = {"pk": f"SWEEP#{sweep_id}", "sk": "REPORT", "report": json.dumps(dict(report))}
        with translating("writing a sweep's report"):
            self._client.put_item(TableName=self._table, Item=item(row))

    def read(self, sweep_id: str) -> Mapping[str, Any] | None:
        with translating("reading a sweep's report"):
            answer = self._client.get_item(
                TableName=self._table, Key=item({"pk": f"SWEEP#{sweep_id}", "sk": "REPORT"}), ConsistentRead=True
            )
        report: Mapping[str, Any] | None = json.loads(plain(answer["Item"])["report"]) if "Item" in answer else None
        return report

    def acquire(self, sweep_id: str, now: datetime, until: datetime) -> bool:
        row = {"pk": "SWEEP", "sk": "RUNNING", "holder": sweep_id, "until": timestamp(until)}
        return self._put_running(
            row,
            # Its own row, too: the SDK sends a write whose answer was lost once more.
            "attribute_not_exists(pk) OR #until <= :now OR holder = :holder",
            {"#until": "until"},
            {":now": timestamp(now), ":holder": sweep_id},
        )

    def release(self, sweep_id: str) -> None:
        row = {"pk": "SWEEP", "sk": "RUNNING", "holder": "", "until": ""}
        self._put_running(row, "holder = :holder", {}, {":holder": sweep_id})

    def suspects(self) -> Mapping[str, datetime]:
        with translating("reading what the last deep sweep suspected"):
            answer = self._client.get_item(TableName=self._table, Key=item(_SUSPECTS), ConsistentRead=True)
        found = json.loads(plain(answer["Item"])["suspects"]) if "Item" in answer else {}
        return {environment_id: datetime.fromisoformat(since) for environment_id, since in found.items()}

    def suspect(self, suspects: Mapping[str, datetime]) -> None:
        told = {environment_id: timestamp(since) for environment_id, since in suspects.items()}
        with translating("remembering what is suspected"):
            self._client.put_item(TableName=self._table, Item=item({**_SUSPECTS, "suspects": json.dumps(told)}))

    def _put_running(
        self, row: Mapping[str, str], condition: str, names: Mapping[str, str], values: Mapping[str, str]
    ) -> bool:
        with translating("taking turns between sweeps"):
            try:
                self._client.put_item(
                    TableName=self._table,
                    Item=item(row),
                    ConditionExpression=condition,
                    ExpressionAttributeValues=item(values),
                    **({"ExpressionAttributeNames": names} if names else {}),
                )
            except ClientError as error:
                if error_code(error) == "ConditionalCheckFailedException":
                    return False
                raise
        return True
