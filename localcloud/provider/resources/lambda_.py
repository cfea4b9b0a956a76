"""Functions of Lambda, who may invoke them, and how asynchronous invocations are treated."""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any, ClassVar

from localcloud.provider import archive, shapes, tags
from localcloud.provider.errors import ProviderError
from localcloud.provider.naming import AutoName
from localcloud.provider.operation import Operation
from localcloud.provider.resource import Resource
from localcloud.provider.schema import Failure

_CODE = ("code", "imageUri", "s3Bucket", "s3Key", "s3ObjectVersion", "sourceCodeHash", "architectures")
_RETRIED = ("InvalidParameterValueException", "AccessDeniedException")


class Function(Resource):
    """`aws:lambda/function:Function`; the id is the name."""

    tokens = ("aws:lambda/function:Function",)
    service = "lambda"
    supports = frozenset(
        {
            "architectures",
            "code",
            "deadLetterConfig",
            "description",
            "environment",
            "ephemeralStorage",
            "handler",
            "imageConfig",
            "imageUri",
            "kmsKeyArn",
            "layers",
            "loggingConfig",
            "memorySize",
            "name",
            "packageType",
            "publish",
            "reservedConcurrentExecutions",
            "role",
            "runtime",
            "s3Bucket",
            "s3Key",
            "s3ObjectVersion",
            "skipDestroy",
            "sourceCodeHash",
            "timeout",
            "tracingConfig",
            "vpcConfig",
        }
    )
    replace_on = frozenset({"name", "packageType"})
    auto_name = AutoName(longest=64)
    defaults: ClassVar[Mapping[str, Any]] = {
        "memorySize": 128,
        "packageType": "Zip",
        "publish": False,
        "reservedConcurrentExecutions": -1,
        "skipDestroy": False,
        "timeout": 3,
    }
    kept = frozenset({"architectures", "ephemeralStorage", "loggingConfig", "tracingConfig", "sourceCodeHash"})
    taggable = True

    def check(self, op: Operation, inputs: dict[str, Any]) -> list[Failure]:
        """A zip needs a handler and a runtime, and each kind of package its own source."""
        if inputs["packageType"] == "Image":
            return [] if inputs.get("imageUri") else [Failure("imageUri", "an Image function needs an imageUri")]
        failures = [
            Failure(name, f"{name} must be set when packageType is Zip")
            for name in ("handler", "runtime")
            if not inputs.get(name)
        ]
        if not inputs.get("code") and not inputs.get("s3Bucket"):
            failures.append(Failure("code", "one of code, imageUri or s3Bucket must be given"))
        return failures

    def create(self, op: Operation) -> None:
        """Create it, again while a new role is not known yet, and wait until it is active."""
        given, client = op.inputs, self.client(op)
        request = shapes.request(client, "CreateFunction", given, skip={*_CODE, "tags", "imageConfig"})
        request |= {"FunctionName": given["name"], "Code": _code(op), "Tags": op.all_tags}
        request |= _image_config(given) | {k: v for k, v in _architectures(given).items() if v}
        op.retry(lambda: client.create_function(**request), codes=_RETRIED, text="cannot be assumed by Lambda")
        op.made(given["name"])
        self._wait(op, "State")
        if given["reservedConcurrentExecutions"] >= 0:
            self._put_concurrency(op)

    def read(self, op: Operation) -> dict[str, Any] | None:
        """Its configuration; code is known by its hash only."""
        client = self.client(op)
        answer = client.get_function(FunctionName=op.id)
        config = answer["Configuration"]
        live = shapes.response(client, "GetFunction", answer, "Configuration")
        wanted = ("description", "handler", "role", "runtime", "timeout", "memorySize", "kMSKeyArn", "architectures")
        arn = config["FunctionArn"]
        version = config.get("Version", "$LATEST")
        concurrency = answer.get("Concurrency") or {}
        return {name if name != "kMSKeyArn" else "kmsKeyArn": live.get(name) for name in wanted} | {
            "name": config["FunctionName"],
            "arn": arn,
            "packageType": config.get("PackageType", "Zip"),
            "environment": {"variables": (config.get("Environment") or {}).get("Variables") or {}},
            "ephemeralStorage": live.get("ephemeralStorage") or {"size": 512},
            "tracingConfig": live.get("tracingConfig"),
            "loggingConfig": live.get("loggingConfig"),
            "layers": [layer["Arn"] for layer in config.get("Layers") or []],
            "codeSha256": config.get("CodeSha256", ""),
            "sourceCodeHash": config.get("CodeSha256", ""),
            "sourceCodeSize": config.get("CodeSize", 0),
            "lastModified": config.get("LastModified", ""),
            "version": version,
            "reservedConcurrentExecutions": concurrency.get("ReservedConcurrentExecutions", -1),
            "invokeArn": _invoke_arn(op.region, arn),
            "qualifiedArn": f"{arn}:{version}",
            "qualifiedInvokeArn": _invoke_arn(op.region, f"{arn}:{version}"),
            "tagsAll": answer.get("Tags") or {},
        }

    def update(self, op: Operation) -> None:
        """Configuration, then code, each waited for: Lambda refuses a change during another."""
        given, client = op.inputs, self.client(op)
        apart = {*_CODE, "publish", "reservedConcurrentExecutions", "skipDestroy", "tags", "tagsAll"}
        if any(change.root not in apart for change in op.changed):
            known = {"description": "", "layers": [], "environment": {"variables": {}}} | dict(given)
            request = shapes.request(client, "UpdateFunctionConfiguration", known, skip={"imageConfig"})
            client.update_function_configuration(FunctionName=op.id, **(request | _image_config(given)))
            self._wait(op, "LastUpdateStatus")
        if op.has_changed(*_CODE):
            request = {**_code(op), **_architectures(given), "Publish": bool(given["publish"])}
            client.update_function_code(FunctionName=op.id, **request)
            self._wait(op, "LastUpdateStatus")
        if op.has_changed("reservedConcurrentExecutions"):
            self._put_concurrency(op)

    def delete(self, op: Operation) -> None:
        """Delete it, unless the program keeps it."""
        if not op.outputs.get("skipDestroy"):
            self.client(op).delete_function(FunctionName=op.id)

    def put_tags(self, op: Operation, change: tags.TagChange) -> None:
        """By the function's ARN."""
        client = self.client(op)
        if change.remove:
            client.untag_resource(Resource=op.outputs["arn"], TagKeys=change.remove)
        if change.put:
            client.tag_resource(Resource=op.outputs["arn"], Tags=change.put)

    def _put_concurrency(self, op: Operation) -> None:
        wanted, client = op.inputs["reservedConcurrentExecutions"], self.client(op)
        if wanted < 0:
            client.delete_function_concurrency(FunctionName=op.id)
        else:
            client.put_function_concurrency(FunctionName=op.id, ReservedConcurrentExecutions=wanted)

    def _wait(self, op: Operation, member: str) -> None:
        client = self.client(op)
        op.wait(
            lambda: client.get_function(FunctionName=op.id)["Configuration"].get(member, "Active"),
            pending=("Pending", "InProgress"),
            target=("Active", "Successful"),
            limit=self.limit,
            what=f"waiting for Lambda Function ({op.id})",
        )


class Permission(Resource):
    """`aws:lambda/permission:Permission`; the id is the statement's."""

    tokens = ("aws:lambda/permission:Permission",)
    service = "lambda"
    supports = frozenset(
        {"action", "function", "principal", "principalOrgId", "qualifier", "sourceAccount", "sourceArn", "statementId"}
    )
    replace_on = supports
    auto_name = AutoName(property="statementId", longest=100)

    def create(self, op: Operation) -> None:
        """Add the statement."""
        given, client = op.inputs, self.client(op)
        request = shapes.request(client, "AddPermission", given) | {"FunctionName": given["function"]}
        client.add_permission(**request)
        op.made(given["statementId"])

    def read(self, op: Operation) -> dict[str, Any] | None:
        """Whether the statement is in the function's policy."""
        function = op.inputs.get("function") or op.outputs.get("function")
        if not function:
            raise ProviderError("a permission cannot be read without its function")
        policy = json.loads(self.client(op).get_policy(FunctionName=function)["Policy"])
        for statement in policy.get("Statement", []):
            if statement.get("Sid") == op.id:
                return {"statementId": op.id, "function": function, "action": statement["Action"]}
        return None

    def delete(self, op: Operation) -> None:
        """Remove the statement."""
        given = op.outputs
        request = {"Qualifier": given["qualifier"]} if given.get("qualifier") else {}
        self.client(op).remove_permission(FunctionName=given["function"], StatementId=op.id, **request)


class EventInvokeConfig(Resource):
    """`aws:lambda/functionEventInvokeConfig:FunctionEventInvokeConfig`; the id is the function, `:qualifier` if any."""

    tokens = ("aws:lambda/functionEventInvokeConfig:FunctionEventInvokeConfig",)
    service = "lambda"
    supports = frozenset(
        {"destinationConfig", "functionName", "maximumEventAgeInSeconds", "maximumRetryAttempts", "qualifier"}
    )
    replace_on = frozenset({"functionName", "qualifier"})
    defaults: ClassVar[Mapping[str, Any]] = {"maximumRetryAttempts": 2}

    def create(self, op: Operation) -> None:
        """Put the settings."""
        self._put(op)
        given = op.inputs
        op.made(":".join(part for part in (given["functionName"], given.get("qualifier")) if part))

    def read(self, op: Operation) -> dict[str, Any] | None:
        """The settings."""
        client, given = self.client(op), op.inputs or op.outputs
        name = given.get("functionName") or op.id
        request = {"FunctionName": name} | ({"Qualifier": given["qualifier"]} if given.get("qualifier") else {})
        answer = client.get_function_event_invoke_config(**request)
        live = shapes.response(client, "GetFunctionEventInvokeConfig", answer)
        destinations = {key: value for key, value in (live.get("destinationConfig") or {}).items() if value}
        return {
            "functionName": name,
            "maximumEventAgeInSeconds": live.get("maximumEventAgeInSeconds"),
            "maximumRetryAttempts": live.get("maximumRetryAttempts", 2),
            "destinationConfig": destinations or None,
        }

    def update(self, op: Operation) -> None:
        """Put all of them again: a put replaces."""
        self._put(op)

    def delete(self, op: Operation) -> None:
        """Back to Lambda's own."""
        given = op.outputs
        request = {"Qualifier": given["qualifier"]} if given.get("qualifier") else {}
        self.client(op).delete_function_event_invoke_config(FunctionName=given["functionName"], **request)

    def _put(self, op: Operation) -> None:
        client = self.client(op)
        client.put_function_event_invoke_config(**shapes.request(client, "PutFunctionEventInvokeConfig", op.inputs))


def _code(op: Operation) -> dict[str, Any]:
    given = op.inputs
    if given["packageType"] == "Image":
        return {"ImageUri": given["imageUri"]}
    if given.get("code"):
        return {"ZipFile": archive.zip_bytes(given["code"], op.connection.caller.folder)}
    names = {"s3Bucket": "S3Bucket", "s3Key": "S3Key", "s3ObjectVersion": "S3ObjectVersion"}
    return {names[key]: given[key] for key in names if given.get(key)}


def _architectures(given: Mapping[str, Any]) -> dict[str, Any]:
    return {"Architectures": given["architectures"]} if given.get("architectures") else {}


def _image_config(given: Mapping[str, Any]) -> dict[str, Any]:
    config = given.get("imageConfig")
    if not config:
        return {}
    names = {"commands": "Command", "entryPoints": "EntryPoint", "workingDirectory": "WorkingDirectory"}
    return {"ImageConfig": {names[key]: value for key, value in config.items()}}


def _invoke_arn(region: str, arn: str) -> str:
    return f"arn:aws:apigateway:{region}:lambda:path/2015-03-31/functions/{arn}/invocations"
