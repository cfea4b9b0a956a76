"""How long an environment lives: `90s`, `12h`, `7d12h`, `never`. Text at the edges, a timedelta (None for `never`) inside."""

from __future__ import annotations

import re
from datetime import timedelta

from orchestrator.domain.errors import BadRequest, ErrorCode

_PARTS = re.compile(r"(?:([0-9]{1,5})d)?(?:([0-9]{1,6})h)?(?:([0-9]{1,7})m)?(?:([0-9]{1,8})s)?")
_HELP = "Give a TTL as days, hours, minutes and seconds in that order, such as `12h`, `7d12h` or `30m`"


def parse_ttl(text: str, *, allow_never: bool) -> timedelta | None:
    """`7d12h` as a timedelta, `never` as None. Raises BadRequest `bad_ttl` for anything else and for nothing at all."""
    if text == "never":
        if allow_never:
            return None
        raise BadRequest(f"This platform does not allow `never`. {_HELP}.", ErrorCode.BAD_TTL)
    match = _PARTS.fullmatch(text)
    days, hours, minutes, seconds = (int(part or 0) for part in match.groups()) if match else (0, 0, 0, 0)
    ttl = timedelta(days=days, hours=hours, minutes=minutes, seconds=seconds)
    if not ttl:
        raise BadRequest(f"{_HELP}{', or `never`' if allow_never else ''}.", ErrorCode.BAD_TTL)
    return ttl


def ttl_pattern(*, allow_never: bool) -> str:
    """What `parse_ttl` reads, as a regular expression for OpenAPI: at least one digit that is not zero."""
    parts = f"(?=[^1-9]*[1-9]){_PARTS.pattern}"
    return f"^(?:{parts}|never)$" if allow_never else f"^{parts}$"


def format_ttl(ttl: timedelta | None) -> str:
    """The shortest text that `parse_ttl` reads back as the same TTL."""
    if ttl is None:
        return "never"
    minutes, seconds = divmod(int(ttl.total_seconds()), 60)
    hours, minutes = divmod(minutes, 60)
    days, hours = divmod(hours, 24)
    parts = ((days, "d"), (hours, "h"), (minutes, "m"), (seconds, "s"))
    return "".join(f"{count}{unit}" for count, unit in parts if count)
