"""Pulumi's ResourceProvider protocol: requests to plain values, and plain values, failures and errors to answers.

Source of the messages: pulumi's proto/pulumi/provider.proto at 3.250.0 and the engine's provider_plugin.go, which says
what the engine does with each.
"""

from __future__ import annotations

import json
import logging
from collections.abc import Callable, Mapping
from typing import Any, TypeVar

import grpc
from google.protobuf import empty_pb2
from pulumi.runtime.proto import plugin_pb2, provider_pb2, provider_pb2_grpc, status_pb2

from localcloud.provider import functions, lifecycle, schema
from localcloud.provider.connection import Connection, Connections
from localcloud.provider.errors import describe
from localcloud.provider.operation import Operation
from localcloud.provider.resource import Resource
from localcloud.provider.resources import handler_for
from localcloud.provider.wire import decode, encode

_LOG = logging.getLogger(__name__)
_KINDS = provider_pb2.PropertyDiff.Kind
# The version of pulumi_aws whose types are the schema; the engine asks for a plug-in's version.
VERSION = "7.51.1"

Answer = TypeVar("Answer")


class Servicer(provider_pb2_grpc.ResourceProviderServicer):
    """The provider, for all engines at once."""

    def __init__(self, handlers: Callable[[str], Resource] = handler_for) -> None:
        self._connections = Connections()
        self._handlers = handlers

    def listens_on(self, port: int) -> None:
        """The port that engines connect to; to be told before the first one does."""
        self._connections.port = port

    # -- The connection ------------------------------------------------------------------------------------------------

    def Handshake(self, request: Any, context: Any) -> Any:
        """The first call of a connection. Secrets are not accepted: the engine unwraps and marks them again itself."""
        self._connections.begin(context.peer())
        return provider_pb2.ProviderHandshakeResponse(supports_autonaming_configuration=True)

    def Attach(self, request: Any, context: Any) -> Any:
        """The engine's address, which is not needed."""
        return empty_pb2.Empty()

    def GetPluginInfo(self, request: Any, context: Any) -> Any:
        """The version."""
        return plugin_pb2.PluginInfo(version=VERSION)

    def GetSchema(self, request: Any, context: Any) -> Any:
        """The least that is a schema: the name and the types that are served."""
        from localcloud.provider.resources import TYPES

        package = {"name": "aws", "version": VERSION, "resources": {t: {} for t in sorted(TYPES) if t[:3] == "aws"}}
        return provider_pb2.GetSchemaResponse(schema=json.dumps(package))

    def CheckConfig(self, request: Any, context: Any) -> Any:
        """A provider's own configuration, by the types of its package."""
        return self._answer(context, lambda: self._check_config(request))

    def _check_config(self, request: Any) -> Any:
        token = request.type or request.urn.split("::")[2].rsplit("$", 1)[-1]
        given = decode(request.news)
        # Structured configuration of a provider travels as JSON text.
        known = {key: _unfolded(value) for key, value in given.items() if key != "version"}
        _, failures = schema.check(token, known)
        return _checked(given, failures)

    def DiffConfig(self, request: Any, context: Any) -> Any:
        """What differs in a provider's configuration; another region means other resources."""
        old, new = decode(request.old_inputs or request.olds), decode(request.news)
        differing = sorted(key for key in {*old, *new} - {"version"} if old.get(key) != new.get(key))
        return provider_pb2.DiffResponse(
            changes=provider_pb2.DiffResponse.DIFF_SOME if differing else provider_pb2.DiffResponse.DIFF_NONE,
            diffs=differing,
            replaces=[key for key in differing if key == "region"],
        )

    def Configure(self, request: Any, context: Any) -> Any:
        """Give the connection its configuration."""
        config = {key: _unfolded(value) for key, value in decode(request.args).items()}
        self._connections.configure(context.peer(), config)
        return provider_pb2.ConfigureResponse(supportsPreview=True, supports_autonaming_configuration=True)

    def Cancel(self, request: Any, context: Any) -> Any:
        """Stop what this connection's operations are waiting for."""
        self._connections.get(context.peer()).cancelled.set()
        return empty_pb2.Empty()

    def Invoke(self, request: Any, context: Any) -> Any:
        """A function of the package."""
        return self._answer(context, lambda: functions.invoke(self._here(context), request.tok, decode(request.args)))

    # -- A resource ----------------------------------------------------------------------------------------------------

    def Check(self, request: Any, context: Any) -> Any:
        """The inputs put right, or what is wrong with them."""
        return self._answer(context, lambda: self._check(request, context))

    def _check(self, request: Any, context: Any) -> Any:
        token = _token(request)
        op = Operation(self._here(context), decode(request.news))
        modes = provider_pb2.CheckRequest.AutonamingOptions
        naming = lifecycle.Naming(
            logical=request.name or request.urn.split("::")[-1],
            seed=request.randomSeed,
            proposed=request.autonaming.proposed_name,
            disabled=request.HasField("autonaming") and request.autonaming.mode == modes.DISABLE,
        )
        return _checked(*lifecycle.check(self._handlers(token), token, op, decode(request.olds), naming))

    def Diff(self, request: Any, context: Any) -> Any:
        """Property by property."""
        return self._answer(context, lambda: self._diff(request, context))

    def _diff(self, request: Any, context: Any) -> Any:
        handler, op = self._handlers(_token(request)), self._operation(request, context)
        found = lifecycle.changes(handler, op)
        ignored = set(request.ignoreChanges)
        found = [change for change in found if change.path not in ignored and change.root not in ignored]
        replaces = sorted({change.root for change in found if change.replaces})
        return provider_pb2.DiffResponse(
            changes=provider_pb2.DiffResponse.DIFF_SOME if found else provider_pb2.DiffResponse.DIFF_NONE,
            diffs=sorted({change.root for change in found}),
            replaces=replaces,
            deleteBeforeReplace=bool(replaces) and lifecycle.deletes_first(handler, op),
            hasDetailedDiff=True,
            detailedDiff={
                change.path: provider_pb2.PropertyDiff(
                    kind=_KINDS.Value(change.kind.upper() + ("_REPLACE" if change.replaces else "")),
                    inputDiff=change.root in op.inputs or change.root in op.old_inputs,
                )
                for change in found
            },
        )

    def Create(self, request: Any, context: Any) -> Any:
        """Make it, or say what it would be."""
        return self._answer(context, lambda: self._create(request, context))

    def _create(self, request: Any, context: Any) -> Any:
        token = _token(request)
        op = Operation(
            self._here(context), decode(request.properties), timeout=request.timeout, alive=context.is_active
        )
        handler = self._handlers(token)
        if request.preview:
            return provider_pb2.CreateResponse(properties=encode(lifecycle.preview(handler, token, op)))
        outputs = lifecycle.create(handler, token, op)
        return provider_pb2.CreateResponse(id=op.id, properties=encode(outputs))

    def Read(self, request: Any, context: Any) -> Any:
        """What is there now, for a refresh or an import; an empty id when it is gone."""
        return self._answer(context, lambda: self._read(request, context))

    def _read(self, request: Any, context: Any) -> Any:
        token = _token(request)
        op = Operation(
            self._here(context),
            decode(request.inputs),
            outputs=decode(request.properties),
            alive=context.is_active,
            id=request.id,
        )
        live = lifecycle.read(self._handlers(token), token, op, imported=not request.HasField("inputs"))
        if live is None:
            return provider_pb2.ReadResponse()
        return provider_pb2.ReadResponse(id=op.id, inputs=encode(live.inputs), properties=encode(live.outputs))

    def Update(self, request: Any, context: Any) -> Any:
        """Carry out what changed, or say what it would be."""
        return self._answer(context, lambda: self._update(request, context))

    def _update(self, request: Any, context: Any) -> Any:
        token, op = _token(request), self._operation(request, context)
        op.timeout = request.timeout
        act = lifecycle.preview if request.preview else lifecycle.update
        return provider_pb2.UpdateResponse(properties=encode(act(self._handlers(token), token, op)))

    def Delete(self, request: Any, context: Any) -> Any:
        """Delete it."""
        return self._answer(context, lambda: self._delete(request, context))

    def _delete(self, request: Any, context: Any) -> Any:
        op = Operation(
            self._here(context),
            decode(request.old_inputs),
            outputs=decode(request.properties),
            timeout=request.timeout,
            alive=context.is_active,
            id=request.id,
        )
        lifecycle.delete(self._handlers(_token(request)), op)
        return empty_pb2.Empty()

    # -- Shared --------------------------------------------------------------------------------------------------------

    def _here(self, context: Any) -> Connection:
        return self._connections.get(context.peer())

    def _operation(self, request: Any, context: Any) -> Operation:
        return Operation(
            self._here(context),
            decode(request.news),
            outputs=decode(request.olds),
            old_inputs=decode(request.old_inputs),
            alive=context.is_active,
            id=request.id,
        )

    def _answer(self, context: Any, act: Callable[[], Answer]) -> Answer:
        """Run it; an error becomes the status that the engine understands."""
        try:
            return act()
        except lifecycle.Partial as exc:
            failed = provider_pb2.ErrorResourceInitFailed(id=exc.id, properties=encode(exc.outputs), reasons=[str(exc)])
            _abort(context, str(exc), failed)
        except Exception as exc:  # The one place where anything may arrive: the engine must get an answer.
            _LOG.debug("operation failed", exc_info=exc)
            _abort(context, describe(exc), None)
        raise AssertionError("abort returns never")


def _abort(context: Any, message: str, detail: provider_pb2.ErrorResourceInitFailed | None) -> None:
    status = status_pb2.Status(code=grpc.StatusCode.UNKNOWN.value[0], message=message)
    if detail is not None:
        status.details.add().Pack(detail)
    context.set_trailing_metadata((("grpc-status-details-bin", status.SerializeToString()),))
    context.abort(grpc.StatusCode.UNKNOWN, message)


def _token(request: Any) -> str:
    return str(request.type or request.urn.split("::")[2].rsplit("$", 1)[-1])


def _checked(inputs: Mapping[str, Any], failures: list[schema.Failure]) -> Any:
    return provider_pb2.CheckResponse(
        inputs=encode(inputs),
        failures=[provider_pb2.CheckFailure(property=failure.path, reason=failure.reason) for failure in failures],
    )


def _unfolded(value: Any) -> Any:
    if isinstance(value, str) and value[:1] in ("{", "[", "t", "f"):
        try:
            return json.loads(value)
        except ValueError:
            return value
    return value
