"""The docs name every disagreement that a deep sweep can report, and no other."""

from __future__ import annotations

import re
from pathlib import Path

from orchestrator.sweeper.drift import Disagreement
from orchestrator.sweeper.sweep import Kind, metrics_of

DOCS = (Path(__file__).resolve().parents[2] / "docs" / "how-it-works.md").read_text()


def test_the_table_names_each_disagreement() -> None:
    table = DOCS.split("| disagreement |")[1].split("\n\n")[0]
    named = [name for row in table.splitlines()[2:] for name in re.findall(r"`([^`]+)`", row.split("|")[1])]
    assert named == sorted(named, key=list(Disagreement).index)
    assert set(named) == set(Disagreement)


def test_the_metrics_and_kinds_are_named() -> None:
    report = {
        **{"kind": "light", "status": "done", "dry_run": False, "steps": [], "step_count": 0, "failures": 0, "kept": 0},
        **{"backlog": 0, "oldest_overdue_seconds": 0},
    }
    assert [name for name in metrics_of(report) if f"`{name}`" not in DOCS] == []
    assert [kind for kind in Kind if f"**{kind}**" not in DOCS] == []
