"""Cleaning a sandbox ends the processes and removes the folders of dead workers only (real processes and folders)."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Iterator
from contextlib import ExitStack
from pathlib import Path

import psutil
import pytest

# A worker in its own process: it starts a marked child in a process group of its own, prints its folder, and waits.
WORKER = """
import os, subprocess, sys
from orchestrator.adapters import sandbox
child = subprocess.Popen(["sleep", "600"], env={**os.environ, sandbox.MARK: sandbox.new_mark()}, start_new_session=True)
print(child.pid, sandbox.own_folder(), flush=True)
(sandbox.own_folder() / "half-written").write_text("x")
sys.stdin.read()
"""
CLEAN = "from orchestrator.adapters import sandbox; sandbox.own_folder(); sandbox.clean()"


class Worker:
    """A worker process with a marked child and a folder."""

    def __init__(self, folder: Path) -> None:
        self.process = subprocess.Popen(
            [sys.executable, "-c", WORKER],
            env={**os.environ, "TMPDIR": str(folder)},
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
        )
        assert self.process.stdout
        child, own = self.process.stdout.readline().split()
        self.child, self.folder = psutil.Process(int(child)), Path(own)

    def end(self) -> None:
        for stream in (self.process.stdin, self.process.stdout):
            if stream:
                stream.close()
        self.process.kill()
        self.process.wait()
        if self.child.is_running():
            self.child.kill()


@pytest.fixture
def workers() -> Iterator[ExitStack]:
    with ExitStack() as stack:
        yield stack


def start(workers: ExitStack, folder: Path) -> Worker:
    worker = Worker(folder)
    workers.callback(worker.end)
    return worker


def clean(folder: Path) -> None:
    subprocess.run([sys.executable, "-c", CLEAN], env={**os.environ, "TMPDIR": str(folder)}, check=True, timeout=60)


def test_cleaning_ends_a_dead_workers_child_and_removes_its_folder(workers: ExitStack, tmp_path: Path) -> None:
    worker = start(workers, tmp_path)
    worker.process.kill()
    worker.process.wait()
    assert worker.child.is_running() and worker.folder.is_dir()
    clean(tmp_path)
    assert not worker.child.is_running() or worker.child.status() == psutil.STATUS_ZOMBIE
    assert not worker.folder.exists()


def test_cleaning_works_on_a_full_disk(workers: ExitStack, tmp_path: Path) -> None:
    worker = start(workers, tmp_path)
    worker.process.kill()
    worker.process.wait()
    full = (
        "import resource, signal; signal.signal(signal.SIGXFSZ, signal.SIG_IGN)\n"
        "resource.setrlimit(resource.RLIMIT_FSIZE, (0, 0))\n"
        "from orchestrator.adapters import sandbox; sandbox.clean()"
    )
    environment = {**os.environ, "TMPDIR": str(tmp_path), "PYTHONDONTWRITEBYTECODE": "1"}
    subprocess.run([sys.executable, "-c", full], env=environment, check=True, timeout=60)
    assert not worker.folder.exists()


def test_cleaning_keeps_a_live_workers_child_and_folder(workers: ExitStack, tmp_path: Path) -> None:
    worker = start(workers, tmp_path)
    clean(tmp_path)
    assert worker.child.status() == psutil.STATUS_SLEEPING
    assert (worker.folder / "half-written").exists()


def test_cleaning_keeps_processes_and_folders_with_other_marks(workers: ExitStack, tmp_path: Path) -> None:
    other = subprocess.Popen(["sleep", "600"], env={**os.environ, "FIBFACTORY_WORKER": "another-mark"})
    workers.callback(other.wait)
    workers.callback(other.kill)
    (tmp_path / "fibfactory-worker-notes").mkdir()
    clean(tmp_path)
    assert other.poll() is None
    assert (tmp_path / "fibfactory-worker-notes").is_dir()
