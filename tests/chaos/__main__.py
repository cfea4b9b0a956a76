"""`python -m tests.chaos kills` and `python -m tests.chaos faults`: the runs on a local cloud of their own, and their figures."""

from __future__ import annotations

import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import click

from orchestrator.domain.sweeps import SweepKind
from tests.chaos import fault_plans, kills, report, sweep_kills
from tests.chaos.platform_fixture import WrappedCli, behind_proxy
from tests.figures import console, json_option, write_json
from tools.platform_on_localcloud import Platform, forget_other_clouds, running_platform

_at_once = click.option("--at-once", default=8, show_default=True, help="Environments at the same time.")


@click.group()
def main() -> None:
    """Kill and disturb the platform's functions on a local cloud, and report what becomes of the environments."""


@main.command("kills")
@click.option("--most", type=click.IntRange(1), help="At most so many points of each operation, evenly spread.")
@_at_once
@json_option
def run_kills(most: int | None, at_once: int, file: Path | None) -> None:
    """SIGKILL before and after every effect of every operation."""

    def run(platform: Platform) -> dict[str, Any]:
        started = time.monotonic()
        cli = WrappedCli(platform.cloud.folder / "wrapped")
        with behind_proxy(platform, cli.variables(platform)) as fixture:
            recording = kills.record_effects(fixture, "recorded")
            _say(f"undisturbed: {', '.join(f'{name} {len(each)} effects' for name, each in recording.items())}")
            kill_run = kills.KillRun(fixture, cli, kills.Sweeper(fixture), _say)
            done = list(kill_run.all(kills.plan_lives(recording, most), at_once))
        with behind_proxy(platform, seconds=sweep_kills.FUNCTION_SECONDS) as fixture:
            for kind in SweepKind:
                done += sweep_kills.sweep_kills(fixture, kind, _say)
        return report.of_kills(done, time.monotonic() - started, fixture.services())

    _on_a_platform(run, file)


@main.command("faults")
@_at_once
@json_option
@click.option("--small-disk", type=click.Path(path_type=Path), hidden=True)
def run_faults(at_once: int, file: Path | None, small_disk: Path | None) -> None:
    """500, throttling, cut connections, slow calls, several workers, a full /tmp."""
    if small_disk is None and fault_plans.small_disks_are_allowed():
        with tempfile.TemporaryDirectory(prefix="fibfactory-small-disk-") as folder:
            again = [sys.executable, "-m", "tests.chaos", *sys.argv[1:], "--small-disk", folder]
            sys.exit(subprocess.call(fault_plans.on_small_disk(Path(folder), again)))

    def run(platform: Platform) -> dict[str, Any]:
        started = time.monotonic()
        with behind_proxy(platform, seconds=fault_plans.FUNCTION_SECONDS) as fixture:
            done = list(fault_plans.FaultRun(fixture, kills.Sweeper(fixture), _say).all(at_once))
        if small_disk:
            with behind_proxy(platform, {"TMPDIR": str(small_disk)}, fault_plans.FUNCTION_SECONDS) as fixture:
                fault_run = fault_plans.FaultRun(fixture, kills.Sweeper(fixture), _say)
                done += fault_run.full_tmp(fault_plans.SmallDisk(small_disk))
        skipped = [] if small_disk else ["a full /tmp: this machine allows no file system in a namespace"]
        return report.of_trials(done, time.monotonic() - started, fixture.services(), skipped)

    _on_a_platform(run, file)


def _on_a_platform(run: Callable[[Platform], Mapping[str, Any]], file: Path | None) -> None:
    forget_other_clouds()
    with running_platform(progress=_say) as platform:
        figures = run(platform)
    report.show(figures)
    write_json(file, figures)
    sys.exit(0 if report.ok(figures) else 1)


def _say(line: str) -> None:
    console.print(f"  {line}", style="dim", markup=False)


if __name__ == "__main__":
    main()
