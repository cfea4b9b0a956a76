"""Which processes are killed: the worker of a call, its CLI, and what they started.

The rule: SIGKILL, and only to processes of this local cloud's functions. The stand-in provider serves all CLIs at once and is
never killed: where the real plug-in would have died with its CLI, the provider gets an error that it does not try again.
"""

from __future__ import annotations

from contextlib import suppress
from enum import StrEnum

import psutil

from localcloud.faults.calls import Call
from localcloud.faults.faults import CUT, Action, Outcome, Refusal

_ABANDONED = Refusal(400, "AbandonedException", "The process that sent this request is dead.")


class KillTarget(StrEnum):
    """Lambda ends a sandbox as a whole; a crash of the runtime ends the worker alone, and its CLI goes on for a while."""

    SANDBOX = "worker and all below it"
    WORKER = "worker alone"
    CLI = "CLI alone"
    CLI_AND_PLUGINS = "CLI and its plug-ins"

    @property
    def is_cli(self) -> bool:
        return self in (KillTarget.CLI, KillTarget.CLI_AND_PLUGINS)


def kill(target: KillTarget, stack: str, functions: tuple[str, ...]) -> Action:
    """Kill the target when a call comes that works on this stack for one of these functions."""

    def action(call: Call) -> Outcome:
        caller = _process(call.client())
        worker = _worker_of(caller, stack, functions)
        killed = _kill(target, worker, stack)
        if caller is None or caller.pid in killed:
            return CUT
        # The caller lives: it is the worker, whose CLI was killed, or the provider, whose CLI or worker was.
        alone = target in (KillTarget.WORKER, KillTarget.CLI)
        return None if alone or caller == worker else _ABANDONED

    return action


def _kill(target: KillTarget, worker: psutil.Process | None, stack: str) -> set[int]:
    roots = processes_of(stack, "pulumi") if target.is_cli else [worker] if worker else []
    alone = target in (KillTarget.WORKER, KillTarget.CLI)
    processes = [each for root in roots for each in (root, *([] if alone else root.children(recursive=True)))]
    for process in processes:
        with suppress(psutil.Error):
            process.kill()
    return {process.pid for process in processes}


def _worker_of(caller: psutil.Process | None, stack: str, functions: tuple[str, ...]) -> psutil.Process | None:
    for process in (caller, *processes_of(stack, "pulumi")):
        with suppress(psutil.Error):
            for each in (process, *process.parents()) if process else ():
                if any(f"ministack-lambda-{function}-" in " ".join(each.cmdline()) for function in functions):
                    return each
    return None


def processes_of(stack: str, program: str = "") -> list[psutil.Process]:
    """The processes that work on a stack: CLIs, and what those started; or only those of one program."""
    found = []
    for process in psutil.process_iter():
        with suppress(psutil.Error):
            if stack in process.cmdline() and program in ("", process.name()):
                found.append(process)
    return found


def _process(pid: int | None) -> psutil.Process | None:
    try:
        return psutil.Process(pid) if pid else None
    except psutil.Error:
        return None
