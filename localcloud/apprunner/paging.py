"""Pages of a list and the tokens that lead from one to the next.

Rule: a token names the last thing seen, not a position, so that what comes and goes meanwhile neither repeats nor
hides another; a token of one list is refused by the next.
"""

from __future__ import annotations

import base64
import binascii
import json
from collections.abc import Callable, Sequence
from typing import TypeVar

from localcloud.apprunner.errors import InvalidRequest

T = TypeVar("T")


def page(
    items: Sequence[T], rank: Callable[[T], int], *, of: str, size: int, token: str | None
) -> tuple[list[T], str | None]:
    """At most `size` of the items after the token's, by rising rank, and the next page's token. Raises InvalidRequest."""
    ordered = sorted(items, key=rank)
    if token:
        last = _read(token, of)
        ordered = [item for item in ordered if rank(item) > last]
    shown = ordered[:size]
    return shown, _write(rank(shown[-1]), of) if len(ordered) > size else None


def _write(last: int, of: str) -> str:
    return base64.urlsafe_b64encode(json.dumps([of, last]).encode()).decode()


def _read(token: str, of: str) -> int:
    try:
        match json.loads(base64.urlsafe_b64decode(token.encode())):
            case [str(kind), int(last)] if kind == of:
                return last
    except (ValueError, binascii.Error):
        pass
    raise InvalidRequest("The pagination token is not one of this list's.")
