"""Faults that kill no process: errors, throttling, cut connections, slow calls, a full /tmp, several workers at once.

The rule: an environment lives its whole life under one fault plan. Each step ends as desired, or as failed with a reason and then
as desired when it is requested again without the fault. Nothing of the environment is left either way.
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
from dataclasses import dataclass, replace
from pathlib import Path

from localcloud.faults import faults
from localcloud.faults.calls import Call
from localcloud.faults.faults import Fault, Match, Moment, Outcome, Refusal
from tests.chaos.effects import ALWAYS, CHANGES, effects_of
from tests.chaos.lifecycle import POLL_SECONDS, STEPS, Healing, Step, Sweep, heal, perform, send
from tests.chaos.platform_fixture import PlatformFixture
from tests.waiting import eventually

FUNCTION_SECONDS = 60
"""Long enough for an operation in which every call is slow."""

_REFUSALS = {
    "dynamodb": (Refusal(500, "InternalServerError"), Refusal(400, "ProvisionedThroughputExceededException")),
    "s3": (Refusal(500, "InternalError"), Refusal(503, "SlowDown")),
    "apprunner": (Refusal(500, "InternalServiceErrorException"), Refusal(400, "ThrottlingException")),
    "lambda": (Refusal(500, "ServiceException"), Refusal(429, "TooManyRequestsException")),
    "kms": (Refusal(500, "KMSInternalException"), Refusal(400, "ThrottlingException")),
}
"""Each service's own internal error, and its own throttling error."""
_OTHER_REFUSALS = (Refusal(500, "InternalFailure"), Refusal(400, "ThrottlingException"))
_DISK_MEGABYTES = 64
_IN_A_ROW = 25
"""More than any SDK retries by itself."""


def error(call: Call) -> Outcome:
    """The service's own internal error."""
    return _REFUSALS.get(call.service, _OTHER_REFUSALS)[0]


def throttled(call: Call) -> Outcome:
    """The service's own throttling error."""
    return _REFUSALS.get(call.service, _OTHER_REFUSALS)[1]


@dataclass(frozen=True)
class FaultPlan:
    """The fault that happens to the calls about an environment in each of these steps of its life."""

    name: str
    fault: Fault
    steps: tuple[Step, ...] = STEPS

    def about(self, environment_id: str) -> Fault:
        """The fault, for the calls about this environment only."""
        return replace(self.fault, match=replace(self.fault.match, about=environment_id))


_ANY = Match()

FAULT_PLANS = (
    # The record waits two minutes for the worker that did not start, so one step is enough.
    FaultPlan("no worker can be asked for", Fault(Match("lambda", "Invoke"), faults.cut, times=4), STEPS[:1]),
    FaultPlan("500 at every 4th call", Fault(_ANY, error, every=4, times=ALWAYS)),
    FaultPlan(f"500 at {_IN_A_ROW} calls in a row", Fault(_ANY, error, nth=12, times=_IN_A_ROW)),
    FaultPlan("throttling at every 5th call", Fault(_ANY, throttled, every=5, times=ALWAYS)),
    FaultPlan(f"throttling at {_IN_A_ROW} calls in a row", Fault(_ANY, throttled, nth=12, times=_IN_A_ROW)),
    FaultPlan("cut before every 5th call", Fault(_ANY, faults.cut, every=5, times=ALWAYS)),
    FaultPlan("cut after every 4th effect", Fault(CHANGES, faults.cut, Moment.AFTER, every=4, times=ALWAYS)),
    FaultPlan("cut after 8 effects in a row", Fault(CHANGES, faults.cut, Moment.AFTER, nth=5, times=8)),
    FaultPlan("App Runner away for 12 calls", Fault(Match("apprunner"), faults.cut, times=12)),
    FaultPlan("the state bucket away for 12 calls", Fault(Match("s3"), faults.cut, nth=5, times=12)),
    FaultPlan("each call 0.3 s slower", Fault(_ANY, faults.delay(0.3), times=ALWAYS)),
)


@dataclass(frozen=True)
class Trial:
    """One step under a fault plan. `retried` is how the step ended when it was requested again after a failure."""

    plan: str
    environment: str
    step: str
    faults: int
    """How often the fault happened."""
    healing: Healing
    retried: Healing | None = None

    @property
    def ok(self) -> bool:
        """As desired; or failed with a reason, and as desired when requested again."""
        return self.healing.ok or (self.healing.ended.startswith("failed") and bool(self.retried and self.retried.ok))

    def __str__(self) -> str:
        retried = f"; requested again: {self.retried.ended}" if self.retried else ""
        return f"{self.plan}, {self.step}: {self.faults} faults, {self.healing}{retried}"


@dataclass(frozen=True)
class FaultRun:
    """The runs on one platform."""

    fixture: PlatformFixture
    sweep: Sweep
    progress: Callable[[str], None]

    def all(self, at_once: int) -> Iterator[Trial]:
        """A life under each fault plan, so many at once, and one with several workers."""
        with ThreadPoolExecutor(at_once, thread_name_prefix="faults") as pool:
            futures = [pool.submit(self._live, f"faults{number:02d}", plan) for number, plan in enumerate(FAULT_PLANS)]
            futures.append(pool.submit(self._several_workers))
            for future in futures:
                yield from future.result()

    def full_tmp(self, disk: SmallDisk) -> Iterator[Trial]:
        """A life in which the worker's temporary folder is full at the start of each step, until an attempt has failed."""

        def attempted() -> bool:
            record = self.fixture.record("fulltmp")
            return record is not None and (record.attempts > 0 or not record.outstanding)

        for step in STEPS:
            disk.fill()
            send(self.fixture, step, "fulltmp")
            eventually(attempted, "the worker to find no space", every=POLL_SECONDS)
            disk.free()
            yield self._trial("a full /tmp", "fulltmp", step, 1, heal(self.fixture, step, "fulltmp", self.sweep))

    def _live(self, environment_id: str, plan: FaultPlan) -> list[Trial]:
        trials = []
        for step in plan.steps:
            with self.fixture.armed(plan.about(environment_id)) as armed:
                healing = perform(self.fixture, step, environment_id, self.sweep)
            trials.append(self._trial(plan.name, environment_id, step, len(armed.calls), healing))
        if STEPS[-1] not in plan.steps:
            perform(self.fixture, STEPS[-1], environment_id, self.sweep)
        return trials

    def _several_workers(self) -> list[Trial]:
        """Five workers for each step at once: App Runner must get each request once."""
        trials = []
        for step in STEPS:
            before = len(self.fixture.proxy.calls)
            send(self.fixture, step, "doubled")
            others = [threading.Thread(target=self.fixture.work, args=("doubled",)) for _ in range(4)]
            for other in others:
                other.start()
            healing = heal(self.fixture, step, "doubled", self.sweep)
            for other in others:
                other.join()
            names = [str(each) for each in effects_of(self.fixture.proxy.calls[before:], "doubled")]
            twice = [name for name in names if name.startswith("apprunner: ") and name.endswith("Service #2")]
            if twice:
                healing = replace(healing, wrong=(*healing.wrong, f"done twice: {twice}"))
            trials.append(Trial("five workers at once", "doubled", step.name, len(others), healing))
            self.progress(str(trials[-1]))
        return trials

    def _trial(self, plan: str, environment_id: str, step: Step, faults: int, healing: Healing) -> Trial:
        """The trial, in which the step is requested again if it did not end well."""
        retried = None if healing.ok else perform(self.fixture, step, environment_id, self.sweep)
        trial = Trial(plan, environment_id, step.name, faults, healing, retried)
        self.progress(str(trial))
        return trial


@dataclass(frozen=True)
class SmallDisk:
    """A temporary folder of a limited size, which can be filled."""

    folder: Path

    def fill(self) -> None:
        """Fill all but one page: without any space, Python would use another temporary folder, which Lambda does not have."""
        with (self.folder / "filler").open("ab", buffering=0) as filler:
            with suppress(OSError):
                while True:
                    filler.write(bytes(1 << 16))
            filler.truncate(filler.tell() - mmap.PAGESIZE)

    def free(self) -> None:
        """Free the space again."""
        (self.folder / "filler").unlink()


def on_small_disk(folder: Path, command: Sequence[str]) -> list[str]:
    """The command that runs this one where the folder is a small file system in memory.

    That is in a namespace of its own: it is visible to no other process, needs no right, and ends with its last process.
    """
    program = f'mount -t tmpfs -o size={_DISK_MEGABYTES}m small {shlex.quote(str(folder))} && exec "$@"'
    return ["unshare", "--user", "--map-root-user", "--mount", "sh", "-c", program, "on-small-disk", *command]


def small_disks_are_allowed() -> bool:
    """Whether this machine allows such a file system."""
    with tempfile.TemporaryDirectory() as folder:
        try:
            tried = subprocess.run(on_small_disk(Path(folder), ["true"]), capture_output=True, timeout=20, check=False)
        except OSError:
            return False
        return tried.returncode == 0
