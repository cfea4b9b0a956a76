"""How many examples the long tests run, and where their figures go: `make chaos` sets both."""

from __future__ import annotations

import json
import os
from collections.abc import Mapping
from pathlib import Path
from typing import Any


def wanted_examples(short: int) -> int:
    """CHAOS_EXAMPLES, or the number for a short run."""
    return int(os.environ.get("CHAOS_EXAMPLES", short))


def write_figures(run: str, figures: Mapping[str, Any]) -> None:
    """Print the figures, and add them as one line of JSON to the file that CHAOS_OUT names."""
    line = json.dumps({"run": run, **figures})
    print(line)
    if file := os.environ.get("CHAOS_OUT"):
        with Path(file).open("a") as output:
            output.write(f"{line}\n")
