"""What more than one file of functional tests is given."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from localcloud.running import RunningCloud
from tests.functional.bootstrap_operator import Operator


@pytest.fixture(scope="module")
def operator(cloud: RunningCloud, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Operator]:
    """Somebody who deploys platforms from a folder that each command has to leave as it was."""
    operator = Operator(cloud, tmp_path_factory.mktemp("operator"))
    yield operator
    assert list(operator.folder.glob("fibfactory-*")) == [], "a command left its work folder behind"
