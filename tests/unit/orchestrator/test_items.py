"""A record that another version wrote is read whole or not at all."""

from __future__ import annotations

from dataclasses import replace

import pytest

from orchestrator.adapters.dynamodb.items import record_item, record_of
from orchestrator.domain.environment import SCHEMA, Environment
from orchestrator.domain.errors import Terminal
from tests.unit.orchestrator.worlds import World


@pytest.fixture
def environment(world: World) -> Environment:
    return world.ready()


def test_a_record_of_a_newer_version_is_refused_with_the_reason(environment: Environment) -> None:
    """Older code would write it back without the fields that it does not know."""
    item = record_item(replace(environment, schema=SCHEMA + 1))
    with pytest.raises(Terminal, match=f"its schema is {SCHEMA + 1}, and this version knows {SCHEMA}") as refused:
        record_of(item)
    assert refused.value.code == "bad_record" and "Upgrade the platform" in refused.value.message


def test_a_record_of_an_older_version_is_read_and_written_back_in_this_ones_shape(environment: Environment) -> None:
    item = record_item(replace(environment, schema=SCHEMA - 1))
    del item["record"]["removal_retries"]
    assert record_of(item) == environment
    assert record_item(record_of(item))["record"]["schema"] == SCHEMA


@pytest.mark.parametrize("item", [{"pk": "ENV#test1"}, {"pk": "ENV#test1", "record": {"id": "test1"}}])
def test_a_damaged_record_is_refused(item: dict[str, object]) -> None:
    with pytest.raises(Terminal, match="ENV#test1 can't be read"):
        record_of(item)
