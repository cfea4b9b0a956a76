"""Pulumi's events as lines for the operator.

The rule: one line for each resource that changes, none for the others. Errors are kept, so that the end can name the first.
"""

from __future__ import annotations

import re
from collections import Counter

from pulumi import automation as auto
from rich.console import Console
from rich.text import Text

_WORDS = {
    "create": ("+", "green", "make", "made"),
    "update": ("~", "yellow", "change", "changed"),
    "delete": ("-", "red", "remove", "removed"),
    "create-replacement": ("+", "yellow", "make anew", "made anew"),
    "delete-replaced": ("-", "yellow", "remove the old", "removed the old"),
}
"""For each operation its sign and color, and its verb before and after."""
HOLDS_DATA = {
    "aws:cloudwatch/logGroup:LogGroup",
    "aws:dynamodb/table:Table",
    "aws:ecr/repository:Repository",
    "aws:s3/bucket:Bucket",
    "aws:sqs/queue:Queue",
}
"""The types of resources that hold data, which is lost when they are removed or replaced."""
_ENDS = {"delete", "replace", "create-replacement", "delete-replaced"}
_COLOR_TAG = re.compile(r"<\{%.*?%\}>")


class Progress:
    """Prints and counts what the engine does; it is an operation's `on_event`.

    `losses` are the resources that a preview removes or replaces together with their data.
    """

    def __init__(self, console: Console) -> None:
        self._console = console
        self._started: dict[str, int] = {}
        self.changes: Counter[str] = Counter()
        self.losses: set[str] = set()
        self.errors: list[str] = []

    def __call__(self, event: auto.EngineEvent) -> None:
        if (pre := event.resource_pre_event) is not None:
            self._started[pre.metadata.urn] = event.timestamp
            if pre.planning:
                self._line(pre.metadata, _details(pre.metadata), planned=True)
                if pre.metadata.type in HOLDS_DATA and _operation(pre.metadata) in _ENDS:
                    self.losses.add(_title(pre.metadata))
        elif (done := event.res_outputs_event) is not None and not done.planning:
            took = event.timestamp - self._started.get(done.metadata.urn, event.timestamp)
            # The engine's times are whole seconds, so shorter times are not shown.
            self._line(done.metadata, f" {took} s" if took else "")
        elif (failed := event.res_op_failed_event) is not None:
            self._console.print(Text.assemble(("  ! failed ", "red"), _title(failed.metadata)))
        elif (diagnostic := event.diagnostic_event) is not None and diagnostic.severity == "error":
            self._error(diagnostic)

    def _line(self, metadata: auto.StepEventMetadata, more: str, *, planned: bool = False) -> None:
        operation = _operation(metadata)
        # The stack and the provider are Pulumi's own, not resources of the account.
        if operation not in _WORDS or metadata.type.startswith("pulumi:"):
            return
        self.changes[operation] += 1
        sign, color, before, after = _WORDS[operation]
        self._console.print(
            Text.assemble((f"  {sign} {before if planned else after} ", color), _title(metadata), (more, "dim"))
        )

    def _error(self, diagnostic: auto.DiagnosticEvent) -> None:
        message = " ".join(_COLOR_TAG.sub("", diagnostic.message).split())
        if message and message not in ("update failed", "preview failed"):
            self.errors.append(message)


def _operation(metadata: auto.StepEventMetadata) -> str:
    return str(getattr(metadata.op, "value", metadata.op))


def _details(metadata: auto.StepEventMetadata) -> str:
    """The properties that change, as far as the engine names them."""
    return f" ({', '.join(sorted(metadata.diffs))})" if metadata.diffs else ""


def _title(metadata: auto.StepEventMetadata) -> str:
    """`aws:dynamodb/table:Table` called `environments` is "dynamodb Table environments"."""
    module, _, kind = metadata.type.rpartition(":")
    package, _, part = module.partition(":")
    where = part.partition("/")[0]
    return f"{package if where == 'index' else where} {kind} {metadata.urn.rpartition('::')[2]}".strip()
