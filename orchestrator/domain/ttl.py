"""How long an environment lives: `90s`, `12h`, `7d12h`, `never`.

The rule: a TTL is a text at the edges and a timedelta (None for `never`) everywhere else.
"""

from __future__ import annotations

import re
from datetime import timedelta

from orchestrator.domain.errors import BadRequest, ErrorCode
from orchestrator.domain.formats import TextFormat

_PARTS = r"(?:([0-9]{1,5})d)?(?:([0-9]{1,6})h)?(?:([0-9]{1,7})m)?(?:([0-9]{1,8})s)?"
# At least one digit that is not zero.
_NOT_ZERO = "(?=[^1-9]*[1-9])"
TTL = TextFormat(_NOT_ZERO + _PARTS, "days, hours, minutes and seconds in that order, such as 12h or 7d12h")
_HELP = f"Give a TTL as {TTL.description}"


def parse_ttl(text: str, *, allow_never: bool) -> timedelta | None:
    """`7d12h` as a timedelta, `never` as None. Raises BadRequest `bad_ttl` for anything else and for nothing at all."""
    if text == "never":
        if allow_never:
            return None
        raise BadRequest(f"This platform does not allow the TTL `never`. {_HELP}.", ErrorCode.BAD_TTL)
    match = re.fullmatch(TTL.pattern, text)
    if match is None:
        raise BadRequest(f"{_HELP}{', or `never`' if allow_never else ''}.", ErrorCode.BAD_TTL)
    days, hours, minutes, seconds = (int(part or 0) for part in match.groups())
    return timedelta(days=days, hours=hours, minutes=minutes, seconds=seconds)


def ttl_pattern(*, allow_never: bool) -> str:
    """What `parse_ttl` reads, as a regular expression for OpenAPI."""
    return f"^(?:{TTL.pattern}|never)$" if allow_never else f"^{TTL.pattern}$"


def format_ttl(ttl: timedelta | None) -> str:
    """The shortest text that `parse_ttl` reads back as the same TTL."""
    if ttl is None:
        return "never"
    minutes, seconds = divmod(int(ttl.total_seconds()), 60)
    hours, minutes = divmod(minutes, 60)
    days, hours = divmod(hours, 24)
    parts = ((days, "d"), (hours, "h"), (minutes, "m"), (seconds, "s"))
    return "".join(f"{count}{unit}" for count, unit in parts if count)
