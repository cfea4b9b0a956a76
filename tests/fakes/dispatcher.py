"""The Dispatcher port for unit tests."""

from __future__ import annotations


class FakeDispatcher:
    """Remembers the requests for workers and sweeps; the test decides whether one is started."""

    def __init__(self) -> None:
        self.asked: list[str] = []

    def work(self, environment_id: str) -> None:
        self.asked.append(environment_id)

    def sweep(self, sweep_id: str) -> None:
        self.asked.append(f"sweep {sweep_id}")
