"""Functions of Lambda, who may invoke them, and how asynchronous invocations are treated."""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any, ClassVar

from localcloud.provider import archive
from localcloud.provider.operation import Operation
from localcloud.provider.resource import AutoName, Resource, Setting, names
from localcloud.provider.schema import Failure
from localcloud.provider.tags import Tagging

_CODE = ("code", "imageUri", "architectures")
# What is no part of a function's configuration.
_APART = {*_CODE, "reservedConcurrentExecutions", "tags", "tagsAll"}


class Function(Resource):
    """`aws:lambda/function:Function`; the id is the name."""

    token = "aws:lambda/function:Function"
    supports = names("""
        architectures code description environment ephemeralStorage handler imageConfig imageUri memorySize name
        packageType reservedConcurrentExecutions role runtime timeout tracingConfig
    """)
    replace_on = names("name packageType")
    auto_name = AutoName(longest=64)
    defaults: ClassVar[Mapping[str, Any]] = {
        "memorySize": 128,
        "packageType": "Zip",
        "reservedConcurrentExecutions": -1,
        "timeout": 3,
    }
    kept = names("architectures ephemeralStorage tracingConfig")

    service = "lambda"
    create_by, read_by, delete_by = "CreateFunction", "GetFunction", "DeleteFunction"
    identity = ("FunctionName",)
    member = "Configuration"
    renamed: ClassVar[Mapping[str, str]] = {
        "arn": "FunctionArn",
        "commands": "Command",
        "name": "FunctionName",
        "sourceCodeSize": "CodeSize",
    }
    empty: ClassVar[Mapping[str, Any]] = {"description": "", "environment": {"variables": {}}}
    settings = (
        Setting(
            "reservedConcurrentExecutions", "PutFunctionConcurrency", "DeleteFunctionConcurrency", after_create=True
        ),
    )
    tagging = Tagging()
    role_errors = ("InvalidParameterValueException", "AccessDeniedException")
    role_text = "cannot be assumed by Lambda"

    pending, ready = ("Pending", "InProgress"), ("Active", "Successful")
    title = "Lambda Function"

    def check(self, op: Operation, inputs: dict[str, Any]) -> list[Failure]:
        """A zip needs a handler and a runtime, and each kind of package its own source."""
        if inputs["packageType"] == "Image":
            return [] if inputs.get("imageUri") else [Failure("imageUri", "an Image function needs an imageUri")]
        return [
            Failure(name, f"{name} must be set when packageType is Zip")
            for name in ("code", "handler", "runtime")
            if not inputs.get(name)
        ]

    def request(self, op: Operation, operation: str, properties: Mapping[str, Any]) -> dict[str, Any]:
        """With the code of a new function in a block of its own, as bytes if it is an archive."""
        code = {name: value for name, value in properties.items() if name in _CODE}
        if archived := code.pop("code", None):
            code = {"zipFile": archive.zip_bytes(archived, op.connection.caller.folder), **code}
        return super().request(op, operation, {**properties, **code, "code": code})

    def find(self, op: Operation) -> Mapping[str, Any] | None:
        """Its configuration, with its tags and its limit, which stand beside that; of its code only the hash."""
        answer = self.call(op, self.read_by, **self.key(op))
        return {**answer["Configuration"], "Tags": answer.get("Tags") or {}, **(answer.get("Concurrency") or {})}

    def status_of(self, op: Operation, found: Mapping[str, Any]) -> str:
        """The status of the creation at first, then that of the last update."""
        return str(found.get("LastUpdateStatus" if op.changed else "State", "Active"))

    def properties(self, op: Operation, found: Mapping[str, Any]) -> dict[str, Any]:
        """With the ARN that API Gateway invokes it by."""
        live = super().properties(op, found)
        return live | {
            "ephemeralStorage": live["ephemeralStorage"] or {"size": 512},
            "reservedConcurrentExecutions": found.get("ReservedConcurrentExecutions", -1),
            "invokeArn": f"arn:aws:apigateway:{op.region}:lambda:path/2015-03-31/functions/{live['arn']}/invocations",
            "tagsAll": found["Tags"],
        }

    def update(self, op: Operation) -> None:
        """Configuration, then code, each waited for: Lambda refuses a change during another."""
        if any(change.root not in _APART for change in op.changed):
            configuration = {key: value for key, value in op.inputs.items() if key not in _APART}
            self._update_by(op, "UpdateFunctionConfiguration", {**self.empty, **configuration})
        if op.has_changed(*_CODE):
            self._update_by(op, "UpdateFunctionCode", op.inputs)
        super().update(op)

    def _update_by(self, op: Operation, operation: str, given: Mapping[str, Any]) -> None:
        self.call(op, operation, **self.request(op, operation, given) | self.key(op))
        self.wait(op, "update")


class Permission(Resource):
    """`aws:lambda/permission:Permission`; the id is the statement's."""

    token = "aws:lambda/permission:Permission"
    supports = names("action function principal sourceArn statementId")
    replace_on = supports
    auto_name = AutoName(property="statementId", longest=100)

    service = "lambda"
    create_by, read_by, delete_by = "AddPermission", "GetPolicy", "RemovePermission"
    identity = ("StatementId",)
    renamed: ClassVar[Mapping[str, str]] = {"function": "FunctionName"}

    def key(self, op: Operation) -> dict[str, str]:
        """The statement of a function, which only the properties name."""
        return {"FunctionName": op.inputs.get("function") or op.outputs["function"], "StatementId": op.id}

    def read(self, op: Operation) -> dict[str, Any] | None:
        """The statement in the function's policy."""
        function = self.key(op)["FunctionName"]
        policy = json.loads(self.client(op).get_policy(FunctionName=function)["Policy"])
        for statement in policy.get("Statement", []):
            if statement.get("Sid") == op.id:
                return {"statementId": op.id, "function": function, "action": statement["Action"]}
        return None


class EventInvokeConfig(Resource):
    """`aws:lambda/functionEventInvokeConfig:FunctionEventInvokeConfig`; the id is the function."""

    token = "aws:lambda/functionEventInvokeConfig:FunctionEventInvokeConfig"
    supports = names("destinationConfig functionName maximumEventAgeInSeconds maximumRetryAttempts")
    replace_on = names("functionName")
    defaults: ClassVar[Mapping[str, Any]] = {"maximumRetryAttempts": 2}

    service = "lambda"
    create_by, read_by = "PutFunctionEventInvokeConfig", "GetFunctionEventInvokeConfig"
    update_by, delete_by = "PutFunctionEventInvokeConfig", "DeleteFunctionEventInvokeConfig"
    identity = ("FunctionName",)
    updates_all = True
