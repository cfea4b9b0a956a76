"""The world that most of these tests start from."""

from __future__ import annotations

import pytest

from tests.unit.orchestrator.worlds import World


@pytest.fixture
def world() -> World:
    """A platform without environments, on fakes."""
    return World()
