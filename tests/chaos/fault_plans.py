"""What AWS and the machine may do to a worker short of killing it: errors, throttling, cut connections, slowness, a full /tmp.

Rule: an environment lives its whole life under one hindrance; each step ends as desired, or as failed with a reason and then as
desired once the hindrance is over. Nothing of it is left either way.
"""

from __future__ import annotations

import mmap
import shlex
import subprocess
import tempfile
import threading
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path

from localcloud.faults import faults
from localcloud.faults.calls import Call
from localcloud.faults.faults import Deed, Fault, Match, Moment, Outcome, Refusal
from tests.chaos import effects
from tests.chaos.platform_fixture import Stage
from tests.chaos.story import STEPS, Healing, Step, Sweep, asked, healed

_ERRORS = {
    "dynamodb": (500, "InternalServerError"),
    "s3": (500, "InternalError"),
    "apprunner": (500, "InternalServiceErrorException"),
    "lambda": (500, "ServiceException"),
    "kms": (500, "KMSInternalException"),
}
_THROTTLINGS = {
    "dynamodb": (400, "ProvisionedThroughputExceededException"),
    "s3": (503, "SlowDown"),
    "apprunner": (400, "ThrottlingException"),
    "lambda": (429, "TooManyRequestsException"),
    "kms": (400, "ThrottlingException"),
}
FUNCTION_SECONDS = 60
"""Long enough for an operation whose every call is slow."""
_ALWAYS = 1_000_000
_DISK_MEGABYTES = 64
_TRIED_SECONDS = 120.0
_IN_A_ROW = 25
"""More than any SDK tries by itself."""


def error(call: Call) -> Outcome:
    """The service's own 500."""
    return Refusal(*_ERRORS.get(call.service, (500, "InternalFailure")))


def throttled(call: Call) -> Outcome:
    """The service's own "not so fast"."""
    return Refusal(*_THROTTLINGS.get(call.service, (400, "ThrottlingException")))


@dataclass(frozen=True)
class Hindrance:
    """What happens to the calls about an environment in each step of its life."""

    name: str
    deed: Deed
    moment: Moment = Moment.BEFORE
    match: Match = field(default_factory=Match)
    nth: int = 1
    every: int = 1
    times: int = _ALWAYS
    steps: tuple[Step, ...] = STEPS

    def fault(self, environment_id: str) -> Fault:
        match = Match(self.match.service, self.match.operation, self.match.target, environment_id, self.match.also)
        return Fault(match, self.deed, self.moment, self.nth, self.every, self.times)


def _changing(call: Call) -> bool:
    return call.changes


HINDRANCES = (
    # The record waits two minutes for the worker that never came, so one step is enough.
    Hindrance("no worker can be asked for", faults.cut, match=Match("lambda", "Invoke"), times=4, steps=STEPS[:1]),
    Hindrance("500 at every 4th call", error, every=4),
    Hindrance(f"500 at {_IN_A_ROW} calls in a row", error, nth=12, times=_IN_A_ROW),
    Hindrance("throttling at every 5th call", throttled, every=5),
    Hindrance(f"throttling at {_IN_A_ROW} calls in a row", throttled, nth=12, times=_IN_A_ROW),
    Hindrance("cut before every 5th call", faults.cut, every=5),
    Hindrance("cut after every 4th effect", faults.cut, Moment.AFTER, Match(also=_changing), every=4),
    Hindrance("cut after 8 effects in a row", faults.cut, Moment.AFTER, Match(also=_changing), nth=5, times=8),
    Hindrance("App Runner away for 12 calls", faults.cut, match=Match("apprunner"), times=12),
    Hindrance("the state bucket away for 12 calls", faults.cut, match=Match("s3"), nth=5, times=12),
    Hindrance("each call 0.3 s slower", faults.delay(0.3)),
)


@dataclass(frozen=True)
class Trial:
    """One step under a hindrance. `mended` tells how it ended once asked for again, when it had failed."""

    hindrance: str
    environment: str
    step: str
    happened: int
    healing: Healing
    mended: Healing | None = None

    @property
    def well(self) -> bool:
        """As desired; or failed, which says why, and mended by asking again."""
        return self.healing.well or (self.healing.ended.startswith("failed") and bool(self.mended and self.mended.well))


def trials(stage: Stage, sweep: Sweep, at_once: int, progress: Callable[[str], None]) -> Iterator[Trial]:
    """A life under each hindrance, so many at once, and the doubled workers."""
    with ThreadPoolExecutor(at_once, thread_name_prefix="hindered") as pool:
        futures = [
            pool.submit(_life, stage, sweep, f"hinder{number:02d}", hindrance, progress)
            for number, hindrance in enumerate(HINDRANCES)
        ]
        futures.append(pool.submit(_doubled, stage, sweep, progress))
        for future in futures:
            yield from future.result()


def full_tmp(stage: Stage, tmp: SmallDisk, sweep: Sweep, progress: Callable[[str], None]) -> Iterator[Trial]:
    """A life in which the worker's temporary folder is full at each step's beginning, until something has failed for that."""
    for step in STEPS:
        tmp.fill()
        asked(stage, step, "fulltmp")
        stage.until(lambda: _tried(stage, "fulltmp"), _TRIED_SECONDS, "the worker to find no room")
        tmp.free()
        healing = healed(stage, step, "fulltmp", sweep)
        trial = Trial("a full /tmp", "fulltmp", step.name, 1, healing, _mended(stage, sweep, step, "fulltmp", healing))
        _tell(trial, progress)
        yield trial


def _life(
    stage: Stage, sweep: Sweep, environment_id: str, hindrance: Hindrance, progress: Callable[[str], None]
) -> list[Trial]:
    lived = []
    for step in hindrance.steps:
        armed = stage.proxy.arm(hindrance.fault(environment_id))
        try:
            asked(stage, step, environment_id)
            healing = healed(stage, step, environment_id, sweep)
        finally:
            stage.proxy.faults.disarm(armed)
        mended = _mended(stage, sweep, step, environment_id, healing)
        lived.append(Trial(hindrance.name, environment_id, step.name, len(armed.calls), healing, mended))
        _tell(lived[-1], progress)
    if STEPS[-1] not in hindrance.steps:
        asked(stage, STEPS[-1], environment_id)
        healed(stage, STEPS[-1], environment_id, sweep)
    return lived


def _doubled(stage: Stage, sweep: Sweep, progress: Callable[[str], None]) -> list[Trial]:
    """Five workers let loose on each step at once; App Runner must hear of it once."""
    lived = []
    for step in STEPS:
        before = len(stage.proxy.calls)
        asked(stage, step, "doubled")
        others = [threading.Thread(target=stage.work, args=("doubled",)) for _ in range(4)]
        for other in others:
            other.start()
        healing = healed(stage, step, "doubled", sweep)
        for other in others:
            other.join()
        names = [str(each) for each in effects.effects_of(stage.proxy.calls[before:], "doubled")]
        twice = [name for name in names if name.startswith("apprunner: ") and name.endswith("Service #2")]
        if twice:
            healing = Healing(healing.sweeps, healing.seconds, healing.ended, (*healing.wrong, f"done twice: {twice}"))
        lived.append(Trial("five workers at once", "doubled", step.name, len(others), healing))
        _tell(lived[-1], progress)
    return lived


def _mended(stage: Stage, sweep: Sweep, step: Step, environment_id: str, healing: Healing) -> Healing | None:
    if healing.well:
        return None
    asked(stage, step, environment_id)
    return healed(stage, step, environment_id, sweep)


def _tried(stage: Stage, environment_id: str) -> bool:
    """Whether an attempt failed, or nothing is left to do."""
    record = stage.record(environment_id)
    return record is not None and (record.attempts > 0 or not record.outstanding)


def _tell(trial: Trial, progress: Callable[[str], None]) -> None:
    then = f"; asked again: {trial.mended.ended}" if trial.mended else ""
    ended = "; ".join([trial.healing.ended, *trial.healing.wrong])
    progress(
        f"{trial.hindrance}, {trial.step}: {trial.happened} faults, {ended}, "
        f"{trial.healing.sweeps} sweeps, {trial.healing.seconds:.0f} s{then}"
    )


@dataclass(frozen=True)
class SmallDisk:
    """A temporary folder with a size, which can be filled."""

    folder: Path

    def fill(self) -> None:
        """Leave one page of it: with none, Python would take another folder for its temporary one, which Lambda has not."""
        with (self.folder / "filler").open("ab", buffering=0) as filler:
            with suppress(OSError):
                while True:
                    filler.write(bytes(1 << 16))
            filler.truncate(filler.tell() - mmap.PAGESIZE)

    def free(self) -> None:
        """Give the room back."""
        (self.folder / "filler").unlink()


def on_a_small_disk(folder: Path, command: Sequence[str]) -> list[str]:
    """The command that runs this one where the folder is a small file system in memory.

    It is so in a namespace of its own: nobody else sees it, no right is needed, and it goes with the last process in it.
    """
    program = f'mount -t tmpfs -o size={_DISK_MEGABYTES}m small {shlex.quote(str(folder))} && exec "$@"'
    return ["unshare", "--user", "--map-root-user", "--mount", "sh", "-c", program, "on-a-small-disk", *command]


def small_disks_are_allowed() -> bool:
    """Whether this machine lets people have such a disk."""
    with tempfile.TemporaryDirectory() as folder:
        try:
            tried = subprocess.run(
                on_a_small_disk(Path(folder), ["true"]), capture_output=True, timeout=20, check=False
            )
        except OSError:
            return False
        return tried.returncode == 0
