"""Texts of the engine and AWS without secrets: values of variables, and credentials.

The rule: any text by a vendor goes through here before it becomes an error's message, because errors end in records, events and
logs. AWS quotes values that it refuses ("Value '…' at …"), and the signed headers when a signature does not match.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterable
from urllib.parse import quote

HIDDEN = "[hidden]"

_SHORTEST = 4
"""Characters. A shorter value is hardly a secret, and would be found in the middle of words."""

_SHORTEST_LINE = 8
"""Characters. The lines of a longer value are hidden one by one, too, as an engine may indent or join them."""

_CREDENTIALS = re.compile(
    r"(?:AKIA|ASIA)[A-Z0-9]{12,}"
    r"|eyJ[\w-]{5,}\.[\w-]{5,}\.[\w-]*"
    r"|(?<=X-Amz-Signature=)[^&\s\"']+|(?<=X-Amz-Security-Token=)[^&\s\"']+|(?<=\bSignature=)[^,\s\"']+"
    r"|(?<=x-amz-security-token:)[^\s\"'\\]+|(?<=authorization:)[^\n\"'\\]+"
    r"|(?<=AWS_SECRET_ACCESS_KEY=)\S+|(?<=AWS_SESSION_TOKEN=)\S+",
    re.IGNORECASE,
)


def without_credentials(text: str) -> str:
    """The text without access keys, signatures and tokens."""
    return _CREDENTIALS.sub(HIDDEN, text)


def without_values(text: str, values: Iterable[str]) -> str:
    """The text without credentials and without these values, however they are quoted."""
    spellings = {
        spelling
        for value in values
        for part in _parts(value)
        for spelling in _spellings(part)
        if len(spelling) >= _SHORTEST
    }
    for spelling in sorted(spellings, key=len, reverse=True):
        text = text.replace(spelling, HIDDEN)
    return without_credentials(text)


def _parts(value: str) -> Iterable[str]:
    """The value, and its lines."""
    return value, *(line for line in value.splitlines() if len(line.strip()) >= _SHORTEST_LINE)


def _spellings(value: str) -> Iterable[str]:
    """The value as it is, and as JSON, Go, Python and URLs write it."""
    as_json = json.dumps(value, ensure_ascii=False)[1:-1]
    as_go = as_json.replace("&", r"\u0026").replace("<", r"\u003c").replace(">", r"\u003e")
    return (
        value,
        value.strip(),
        json.dumps(value)[1:-1],
        as_json,
        as_go,
        repr(value)[1:-1],
        quote(value, errors="replace"),
    )
