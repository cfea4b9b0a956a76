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
_COLOR_TAG = re.compile(r"<\{%.*?%\}>")


class Progress:
    """Prints what the engine does and counts it. Give it to an operation as its `on_event`."""

    def __init__(self, console: Console) -> None:
        self._console = console
        self._started: dict[str, int] = {}
        self.changes: Counter[str] = Counter()
        self.errors: list[str] = []

    def __call__(self, event: auto.EngineEvent) -> None:
        if (pre := event.resource_pre_event) is not None:
            self._started[pre.metadata.urn] = event.timestamp
            if pre.planning:
                self._line(_PLANNED, pre.metadata, "")
        elif (done := event.res_outputs_event) is not None and not done.planning:
            took = event.timestamp - self._started.get(done.metadata.urn, event.timestamp)
            # The engine's times are whole seconds: what took less is not worth a number.
            self._line(_DONE, done.metadata, f" {took} s" if took else "")
        elif (failed := event.res_op_failed_event) is not None:
            self._console.print(Text.assemble(("  ! failed ", "red"), _title(failed.metadata)))
        elif (diagnostic := event.diagnostic_event) is not None and diagnostic.severity == "error":
            self._error(diagnostic)

    def _line(self, words: dict[str, tuple[str, str, str]], metadata: auto.StepEventMetadata, took: str) -> None:
        operation = str(getattr(metadata.op, "value", metadata.op))
        # The stack and the provider are Pulumi's own book-keeping, nothing of the account.
        if operation not in words or metadata.type.startswith("pulumi:"):
            return
        self.changes[operation] += 1
        sign, verb, color = words[operation]
        self._console.print(Text.assemble((f"  {sign} {verb} ", color), _title(metadata), (took, "dim")))

    def _error(self, diagnostic: auto.DiagnosticEvent) -> None:
        message = " ".join(_COLOR_TAG.sub("", diagnostic.message).split())
        if message and message not in ("update failed", "preview failed"):
            self.errors.append(message)


def _title(metadata: auto.StepEventMetadata) -> str:
    """`aws:dynamodb/table:Table` called `environments` is "dynamodb Table environments"."""
    package, _, kind = metadata.type.rpartition(":")
    return f"{package.partition(':')[2].partition('/')[0]} {kind} {metadata.urn.rpartition('::')[2]}".strip()
