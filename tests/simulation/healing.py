"""How long after a worker's death its environment is taken up by the next worker, and healed."""

from __future__ import annotations

from dataclasses import dataclass

from orchestrator.domain.environment import Environment
from tests.simulation.scheduler import Actor, seconds_of


@dataclass
class Healing:
    """What became of an environment whose worker died while it held the lease, in seconds of virtual time."""

    environment: str
    lease_until: float
    taken_up_at: float | None = None
    healed_at: float | None = None

    @property
    def taken_up_after(self) -> float | None:
        """Seconds from the end of the dead worker's lease to the next worker's claim."""
        return None if self.taken_up_at is None else self.taken_up_at - self.lease_until

    @property
    def healed_after(self) -> float | None:
        """Seconds from the end of that lease until the environment was as desired, or had failed for good."""
        return None if self.healed_at is None else self.healed_at - self.lease_until


class Healings:
    """All healings of one run, in `all`."""

    def __init__(self) -> None:
        self.all: list[Healing] = []
        self._unhealed: dict[str, Healing] = {}

    def died(self, actor: Actor, record: Environment | None) -> None:
        """An actor died. If it held this record's lease, the next worker has to heal what it left."""
        if actor.kind != "worker" or record is None or record.lease.holder != actor.name or not record.lease.until:
            return
        healing = self._unhealed.get(record.id)
        if healing is None:
            healing = self._unhealed[record.id] = Healing(record.id, 0.0)
            self.all.append(healing)
        # After a second death before it was healed, the time counts from that one.
        healing.lease_until, healing.taken_up_at = seconds_of(record.lease.until), None

    def written(self, actor: Actor, after: Environment, now: float) -> None:
        """An actor wrote this record."""
        healing = self._unhealed.get(after.id)
        if healing is None:
            return
        if healing.taken_up_at is None and after.lease.holder and after.lease.holder == actor.name:
            healing.taken_up_at = now
        if not after.outstanding:
            healing.healed_at = now
            del self._unhealed[after.id]
