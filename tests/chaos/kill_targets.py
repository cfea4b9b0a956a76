"""Who is killed: the worker of a call, its CLI, and what belongs to them.

Rule: SIGKILL, and only to processes of this local cloud's functions. The stand-in provider serves all CLIs at once and is
never killed: where the plug-in would have died with its CLI, it gets an error that it does not try again.
"""

from __future__ import annotations

from contextlib import suppress
from enum import StrEnum

import psutil

from localcloud.faults.calls import Call
from localcloud.faults.faults import CUT, Deed, Outcome, Refusal

_BEFORE_ITS_TIME = Refusal(400, "AbandonedException", "Whoever asked for this is dead.")


class Victim(StrEnum):
    """Lambda ends a sandbox as a whole; a crash of the runtime takes the worker alone, and its CLI goes on for a while."""

    SANDBOX = "worker and all below it"
    WORKER = "worker alone"
    CLI = "CLI alone"
    CLI_AND_PLUGINS = "CLI and its plug-ins"


def kill(victim: Victim, stack: str, functions: tuple[str, ...]) -> Deed:
    """Kill the victim of the call that comes, which works on this stack for one of these functions."""

    def deed(call: Call) -> Outcome:
        caller = _process(call.client())
        worker = _worker_of(caller, stack, functions)
        killed = _kill(victim, worker, stack)
        if caller is None or caller.pid in killed:
            return CUT
        # The caller lives: either it is the worker, whose CLI was killed, or the provider, whose CLI or worker was.
        alone = victim in (Victim.WORKER, Victim.CLI)
        return None if alone or caller == worker else _BEFORE_ITS_TIME

    return deed


def _kill(victim: Victim, worker: psutil.Process | None, stack: str) -> set[int]:
    if victim is Victim.WORKER:
        doomed = [worker] if worker else []
    elif victim is Victim.SANDBOX:
        doomed = [worker, *worker.children(recursive=True)] if worker else []
    else:
        doomed = [cli for cli in _clis(stack) if victim is Victim.CLI]
        if victim is Victim.CLI_AND_PLUGINS:
            doomed = [each for cli in _clis(stack) for each in (cli, *cli.children(recursive=True))]
    for process in doomed:
        with suppress(psutil.Error):
            process.kill()
    return {process.pid for process in doomed}


def _worker_of(caller: psutil.Process | None, stack: str, functions: tuple[str, ...]) -> psutil.Process | None:
    for process in (caller, *_clis(stack)):
        with suppress(psutil.Error):
            for each in (process, *process.parents()) if process else ():
                if any(f"ministack-lambda-{function}-" in " ".join(each.cmdline()) for function in functions):
                    return each
    return None


def _clis(stack: str) -> list[psutil.Process]:
    found = []
    for process in psutil.process_iter():
        with suppress(psutil.Error):
            if process.name() == "pulumi" and stack in process.cmdline():
                found.append(process)
    return found


def _process(pid: int | None) -> psutil.Process | None:
    try:
        return psutil.Process(pid) if pid else None
    except psutil.Error:
        return None
