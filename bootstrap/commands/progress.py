"""Pulumi's event stream as lines that a person reads while waiting.

The rule: one line for each thing that changes, none for what stays; errors are kept, so that the end can name the first.
"""

from __future__ import annotations

import re
from collections import Counter

from pulumi import automation as auto
from rich.console import Console
from rich.text import Text

_DONE = {
    "create": ("+", "made", "green"),
    "update": ("~", "changed", "yellow"),
    "delete": ("-", "removed", "red"),
    "create-replacement": ("+", "made anew", "yellow"),
    "delete-replaced": ("-", "removed the old", "yellow"),
}
_PLANNED = {
    "create": ("+", "make", "green"),
    "update": ("~", "change", "yellow"),
    "delete": ("-", "remove", "red"),
    "create-replacement": ("+", "make anew", "yellow"),
    "delete-replaced": ("-", "remove the old", "yellow"),
}
HOLDS_DATA = {
    "aws:cloudwatch/logGroup:LogGroup",
    "aws:dynamodb/table:Table",
    "aws:ecr/repository:Repository",
    "aws:s3/bucket:Bucket",
    "aws:sqs/queue:Queue",
}
"""The types whose loss can't be mended by making them again."""
_ENDS = {"delete", "replace", "create-replacement", "delete-replaced"}
_COLOR_TAG = re.compile(r"<\{%.*?%\}>")


class Progress:
    """Prints what the engine does and counts it. Give it to an operation as its `on_event`.

    `losses` are the things that would be lost with their data, by a plan that removes or replaces them.
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
                self._line(_PLANNED, pre.metadata, _details(pre.metadata))
                if pre.metadata.type in HOLDS_DATA and _operation(pre.metadata) in _ENDS:
                    self.losses.add(_title(pre.metadata))
        elif (done := event.res_outputs_event) is not None and not done.planning:
            took = event.timestamp - self._started.get(done.metadata.urn, event.timestamp)
            # The engine's times are whole seconds: what took less is not worth a number.
            self._line(_DONE, done.metadata, f" {took} s" if took else "")
        elif (failed := event.res_op_failed_event) is not None:
            self._console.print(Text.assemble(("  ! failed ", "red"), _title(failed.metadata)))
        elif (diagnostic := event.diagnostic_event) is not None and diagnostic.severity == "error":
            self._error(diagnostic)

    def _line(self, words: dict[str, tuple[str, str, str]], metadata: auto.StepEventMetadata, more: str) -> None:
        operation = _operation(metadata)
        # The stack and the provider are Pulumi's own book-keeping, nothing of the account.
        if operation not in words or metadata.type.startswith("pulumi:"):
            return
        self.changes[operation] += 1
        sign, verb, color = words[operation]
        self._console.print(Text.assemble((f"  {sign} {verb} ", color), _title(metadata), (more, "dim")))

    def _error(self, diagnostic: auto.DiagnosticEvent) -> None:
        message = " ".join(_COLOR_TAG.sub("", diagnostic.message).split())
        if message and message not in ("update failed", "preview failed"):
            self.errors.append(message)


def _operation(metadata: auto.StepEventMetadata) -> str:
    return str(getattr(metadata.op, "value", metadata.op))


def _details(metadata: auto.StepEventMetadata) -> str:
    """Which properties a change is about, where the engine says so."""
    return f" ({', '.join(sorted(metadata.diffs))})" if metadata.diffs else ""


def _title(metadata: auto.StepEventMetadata) -> str:
    """`aws:dynamodb/table:Table` called `environments` is "dynamodb Table environments"; `docker:index/…`, a docker thing."""
    module, _, kind = metadata.type.rpartition(":")
    package, _, part = module.partition(":")
    where = part.partition("/")[0]
    return f"{package if where == 'index' else where} {kind} {metadata.urn.rpartition('::')[2]}".strip()
