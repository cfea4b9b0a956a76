"""The docs name every finding that a sweep can report, every metric and every kind of sweep, and no other finding."""

from __future__ import annotations

import re

from localcloud.settings import ROOT
from orchestrator.domain.metrics import Metric
from orchestrator.domain.sweeps import FindingKind, SweepKind

DOCS = (ROOT / "docs" / "how-it-works.md").read_text("utf-8")


def test_the_tables_name_each_finding_in_order() -> None:
    tables = re.findall(r"^\| finding \|.*?(?=\n\n)", DOCS, flags=re.M | re.S)
    rows = [row for table in tables for row in table.splitlines()[2:]]
    assert [name for row in rows for name in re.findall(r"`([^`]+)`", row.split("|")[1])] == list(FindingKind)


def test_the_metrics_and_kinds_are_named() -> None:
    assert [name for name in Metric if f"`{name}`" not in DOCS] == []
    assert [kind for kind in SweepKind if f"**{kind}**" not in DOCS] == []
