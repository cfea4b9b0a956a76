"""A safeguard taken out of a copy of the code is noticed. The whole list: `python -m tests.safeguards`."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace

import pytest

from tests.safeguards.check import CannotCheck, Mutant, Result, check, mutants

MUTANTS = mutants()
TESTED = ("fencing token", "guarded release", "receipt", "cap", "two passes", "platform tag", "protected: destroyed")
"""The safeguards whose tests run here too; for the others it is the simulator alone that has to notice."""
CHOSEN = {
    each.safeguard: each if each.safeguard.startswith(TESTED) else replace(each, tests=())
    for each in MUTANTS
    if each.simulator or each.safeguard.startswith(TESTED)
}


@pytest.fixture(scope="module")
def results(tmp_path_factory: pytest.TempPathFactory) -> Mapping[str, Result]:
    results = check(list(CHOSEN.values()), tmp_path_factory.mktemp("copies"), jobs=2)
    return {result.safeguard: result for result in results}


@pytest.fixture
def mutant() -> Mutant:
    return MUTANTS[0]


@pytest.mark.parametrize("safeguard", list(CHOSEN))
def test_tests_and_simulator_notice_that_a_safeguard_is_gone(results: Mapping[str, Result], safeguard: str) -> None:
    assert (results[safeguard].noticed, results[safeguard].missed_by) == (True, ())


def test_every_safeguard_is_noticed_by_tests_of_its_own() -> None:
    assert [each.safeguard for each in MUTANTS if not each.tests] == []
    assert [each.safeguard for each in MUTANTS if bool(each.simulator) is not bool(each.invariants)] == []
    assert sum(each.simulator is not None for each in MUTANTS) >= 8


def test_a_change_that_nothing_notices_is_reported(mutant: Mutant, tmp_path_factory: pytest.TempPathFactory) -> None:
    harmless = replace(
        mutant, text="_KEPT_LEASES = 20", without="_KEPT_LEASES = 21", simulator="any", invariants=("I1",)
    )
    (result,) = check([harmless], tmp_path_factory.mktemp("copies"), jobs=1)
    assert not result.noticed and result.missed_by == ("tests", "simulator")


def test_a_safeguard_whose_text_is_gone_is_reported(mutant: Mutant, tmp_path_factory: pytest.TempPathFactory) -> None:
    with pytest.raises(CannotCheck, match=r"lease\.py"):
        check([replace(mutant, text="this was never there")], tmp_path_factory.mktemp("copies"), jobs=1)
