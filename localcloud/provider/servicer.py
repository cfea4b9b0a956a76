"""Pulumi's ResourceProvider protocol: requests to plain values, and plain values and errors to answers.

Source of the messages: pulumi's proto/pulumi/provider.proto at 3.250.0 and the engine's provider_plugin.go, which says
what the engine does with each.
"""

from __future__ import annotations

import functools
import json
import logging
from collections.abc import Callable, Mapping
from typing import Any

import grpc
from google.protobuf import empty_pb2
from pulumi.runtime.proto import plugin_pb2, provider_pb2, provider_pb2_grpc, status_pb2

from localcloud.provider import invokes, lifecycle, schema
from localcloud.provider.connection import Connections
from localcloud.provider.errors import describe
from localcloud.provider.operation import Operation
from localcloud.provider.property_values import decode, encode
from localcloud.provider.resources import handler_for

_LOG = logging.getLogger(__name__)
_KINDS = provider_pb2.PropertyDiff.Kind
# The version of pulumi_aws whose types are the schema; the engine asks for a plug-in's version.
VERSION = "7.51.1"

Method = Callable[[Any, Any, Any], Any]


def _reporting_errors(method: Method) -> Method:
    """A method whose errors become the status that the engine understands."""

    @functools.wraps(method)
    def answer(self: Any, request: Any, context: Any) -> Any:
        try:
            return method(self, request, context)
        except lifecycle.PartialFailure as exc:
            failed = provider_pb2.ErrorResourceInitFailed(id=exc.id, properties=encode(exc.outputs), reasons=[str(exc)])
            _abort(context, str(exc), failed)
        except Exception as exc:  # The one place where any error may arrive: the engine must get an answer.
            _LOG.debug("operation failed", exc_info=exc)
            _abort(context, describe(exc), None)

    return answer


class Servicer(provider_pb2_grpc.ResourceProviderServicer):
    """The provider, for all engines at once; `port` is the one that they connect to."""

    def __init__(self, port: int) -> None:
        self._connections = Connections(port)

    # -- The connection ------------------------------------------------------------------------------------------------

    def Handshake(self, request: Any, context: Any) -> Any:
        """The first call of a connection. Secrets are not accepted: the engine unwraps and marks them again itself."""
        self._connections.begin(context.peer())
        return provider_pb2.ProviderHandshakeResponse()

    def Attach(self, request: Any, context: Any) -> Any:
        """The engine's address, which is not needed."""
        return empty_pb2.Empty()

    def GetPluginInfo(self, request: Any, context: Any) -> Any:
        """The version."""
        return plugin_pb2.PluginInfo(version=VERSION)

    @_reporting_errors
    def CheckConfig(self, request: Any, context: Any) -> Any:
        """Check a provider's own configuration by the types of its package."""
        given = decode(request.news)
        known = _configuration(given)
        known.pop("version", None)
        _, failures = schema.check(_token(request), known)
        return _checked(given, failures)

    def DiffConfig(self, request: Any, context: Any) -> Any:
        """What differs in a provider's configuration; another region means other resources."""
        old, new = decode(request.old_inputs or request.olds), decode(request.news)
        differing = sorted(key for key in {*old, *new} - {"version"} if old.get(key) != new.get(key))
        return provider_pb2.DiffResponse(
            changes=_some_or_none(differing), diffs=differing, replaces=[key for key in differing if key == "region"]
        )

    def Configure(self, request: Any, context: Any) -> Any:
        """Give the connection its configuration."""
        self._connections.configure(context.peer(), _configuration(decode(request.args)))
        return provider_pb2.ConfigureResponse(supportsPreview=True)

    def Cancel(self, request: Any, context: Any) -> Any:
        """End what this connection's operations are waiting for."""
        self._connections.get(context.peer()).cancelled.set()
        return empty_pb2.Empty()

    @_reporting_errors
    def Invoke(self, request: Any, context: Any) -> Any:
        """Call a function of the package."""
        connection = self._connections.get(context.peer())
        result = invokes.invoke(connection, request.tok, decode(request.args))
        return provider_pb2.InvokeResponse(**{"return": encode(result)})

    # -- A resource ----------------------------------------------------------------------------------------------------

    @_reporting_errors
    def Check(self, request: Any, context: Any) -> Any:
        """The inputs with types, defaults and a name filled in, or what is wrong with them."""
        op = self._operation(request, context, request.news)
        logical = request.name or request.urn.split("::")[-1]
        return _checked(*lifecycle.check(handler_for(op.token), op, decode(request.olds), logical, request.randomSeed))

    @_reporting_errors
    def Diff(self, request: Any, context: Any) -> Any:
        """What changed, property by property."""
        op = self._operation(request, context, request.news, request.olds, request.old_inputs)
        handler, ignored = handler_for(op.token), set(request.ignoreChanges)
        found = [each for each in lifecycle.changes(handler, op) if not {each.path, each.root} & ignored]
        replaces = sorted({change.root for change in found if change.replaces})
        return provider_pb2.DiffResponse(
            changes=_some_or_none(found),
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

    @_reporting_errors
    def Create(self, request: Any, context: Any) -> Any:
        """Create a resource; in a preview, what is known of it."""
        op = self._operation(request, context, request.properties)
        act = lifecycle.preview if request.preview else lifecycle.create
        outputs = act(handler_for(op.token), op)
        return provider_pb2.CreateResponse(id=op.id, properties=encode(outputs))

    @_reporting_errors
    def Read(self, request: Any, context: Any) -> Any:
        """What is there now, for a refresh or an import; an empty id when it is gone."""
        op = self._operation(request, context, request.inputs, request.properties)
        live = lifecycle.read(handler_for(op.token), op, imported=not request.HasField("inputs"))
        if live is None:
            return provider_pb2.ReadResponse()
        return provider_pb2.ReadResponse(id=op.id, inputs=encode(live.inputs), properties=encode(live.outputs))

    @_reporting_errors
    def Update(self, request: Any, context: Any) -> Any:
        """Carry out what changed; in a preview, what is known of it."""
        op = self._operation(request, context, request.news, request.olds, request.old_inputs)
        act = lifecycle.preview if request.preview else lifecycle.update
        return provider_pb2.UpdateResponse(properties=encode(act(handler_for(op.token), op)))

    @_reporting_errors
    def Delete(self, request: Any, context: Any) -> Any:
        """Delete a resource."""
        op = self._operation(request, context, request.old_inputs, request.properties)
        lifecycle.delete(handler_for(op.token), op)
        return empty_pb2.Empty()

    def _operation(
        self, request: Any, context: Any, inputs: Any, outputs: Any = None, old_inputs: Any = None
    ) -> Operation:
        return Operation(
            self._connections.get(context.peer()),
            _token(request),
            decode(inputs),
            outputs=decode(outputs),
            old_inputs=decode(old_inputs),
            timeout=getattr(request, "timeout", 0),
            alive=context.is_active,
            id=getattr(request, "id", ""),
        )


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


def _some_or_none(differing: list[Any]) -> Any:
    return provider_pb2.DiffResponse.DIFF_SOME if differing else provider_pb2.DiffResponse.DIFF_NONE


def _configuration(given: Mapping[str, Any]) -> dict[str, Any]:
    """A provider's configuration, in which structured values travel as JSON text."""
    return {key: _from_json(value) for key, value in given.items()}


def _from_json(value: Any) -> Any:
    if isinstance(value, str) and value[:1] in ("{", "[", "t", "f"):
        try:
            return json.loads(value)
        except ValueError:
            return value
    return value
