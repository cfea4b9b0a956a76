"""The SHA-256 sums of the programs in the orchestrator's image: taken from the publisher once, then pinned.

Rule: only an empty sum is filled, and only from a file that came over TLS; a pinned one is never changed here.
"""

from __future__ import annotations

import re
import tomllib
import urllib.request
from collections.abc import Callable
from pathlib import Path

from tools.commands import Say, ToolFailure

PINS = Path(__file__).with_name("pins.toml")
_SECONDS = 30.0


def fill(file: Path, say: Say, read: Callable[[str], str] | None = None) -> None:
    """Write the publisher's sum for each program that has none. Raises `ToolFailure`."""
    for program, pin in tomllib.loads(file.read_text(encoding="utf-8")).items():
        if pin["sha256"]:
            continue
        url, checksums = pin["url"].format_map(pin), pin["checksums"].format_map(pin)
        sha256 = _published((read or _read)(checksums), url, checksums)
        text = file.read_text(encoding="utf-8")
        _, heading, rest = text.partition(f"[{program}]")
        before = text.removesuffix(heading + rest)
        file.write_text(before + heading + rest.replace('sha256 = ""', f'sha256 = "{sha256}"', 1), encoding="utf-8")
        say(f"{program} {pin['version']}: its publisher's SHA-256 is {sha256}; written to {file.name}, commit it")


def _published(sums: str, url: str, checksums: str) -> str:
    name = url.rpartition("/")[2]
    found = re.search(rf"^([0-9a-f]{{64}})\s+\*?{re.escape(name)}$", sums, re.MULTILINE)
    if found is None:
        raise ToolFailure(f"{checksums} has no SHA-256 for {name}.", _ADVICE)
    return found[1]


def _read(url: str) -> str:
    if not url.startswith("https://"):
        raise ToolFailure(f"{url} is not a https:// URL.", _ADVICE)
    try:
        with urllib.request.urlopen(url, timeout=_SECONDS) as answer:
            return answer.read().decode()
    except OSError as error:
        raise ToolFailure(f"{url} can't be read ({error}).", _ADVICE) from error


_ADVICE = (
    "Write the sum into tools/images/pins.toml yourself, or build an image with this machine's own Pulumi CLI and without the "
    "AWS plug-in, for tests, not for AWS (make images ARGS=--machine-cli)."
)
