"""Each safeguard, taken out of a copy of the code, is missed by a test. The whole list: `python -m tests.safeguards`."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest

from tests.safeguards.mutants import SAFEGUARDS, Moved, check

NAMED = ("fencing token", "guarded let-go", "receipt", "cap", "two passes", "platform tag", "protected: destroyed")


def test_the_safeguards_that_make_people_trust_it_are_all_missed_when_gone(tmp_path: Path) -> None:
    chosen = [each for each in SAFEGUARDS if each.name.startswith(NAMED)]
    assert len(chosen) == len(NAMED)
    results = check(chosen, tmp_path, jobs=2)
    assert [result.safeguard for result in results if not result.caught] == []


def test_a_safeguard_that_nobody_would_miss_is_told(tmp_path: Path) -> None:
    harmless = replace(SAFEGUARDS[0], text="_REMEMBERED_DEATHS = 20", without="_REMEMBERED_DEATHS = 21")
    (result,) = check([harmless], tmp_path, jobs=1)
    assert not result.caught


def test_a_safeguard_that_is_not_where_it_was_is_told(tmp_path: Path) -> None:
    with pytest.raises(Moved, match=r"lease\.py"):
        check([replace(SAFEGUARDS[0], text="this was never there")], tmp_path, jobs=1)
