"""Pages of a list and the tokens that lead from one to the next.

Rule: a token names the last item shown, not a position, so that items that are added or removed meanwhile neither
repeat nor hide another one; a token of one list is refused by another.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import TypeVar

from itsdangerous import BadData, URLSafeSerializer

from localcloud.apprunner.errors import InvalidRequest

T = TypeVar("T")


def page(
    items: Sequence[T], rank: Callable[[T], int], *, of: str, size: int, token: str | None
) -> tuple[list[T], str | None]:
    """At most `size` of the items after the token's, by rising rank, and the next page's token. Raises InvalidRequest."""
    # The key is no secret: it only tells tokens of this list (the salt) from anything else.
    tokens = URLSafeSerializer("pages", salt=of)
    ordered = sorted(items, key=rank)
    if token:
        try:
            last = tokens.loads(token)
        except BadData as error:
            raise InvalidRequest("The pagination token does not belong to this list.") from error
        ordered = [item for item in ordered if rank(item) > last]
    shown = ordered[:size]
    return shown, str(tokens.dumps(rank(shown[-1]))) if len(ordered) > size else None
