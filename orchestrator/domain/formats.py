"""The format of a text that comes from outside, and how a person is told about it.

Bootstrap checks settings before a deploy and the functions check them at their start: both by the same formats.
"""

from __future__ import annotations

import re
from dataclasses import dataclass


@dataclass(frozen=True)
class TextFormat:
    """A regular expression for the whole text, and a description that completes "it must be …"."""

    pattern: str
    description: str

    def check(self, text: str) -> str:
        """The text itself, if it has this format. Raises ValueError `must be …` otherwise."""
        if not re.fullmatch(self.pattern, text):
            raise ValueError(f"must be {self.description}, not {text!r}")
        return text
