"""The deep sweep: everything that exists is compared with everything that is recorded, and drift is reported or healed.

The rule: the cloud is read first and the records last, so that something made or removed meanwhile is never taken for an orphan.
An implausible reading, or one that would change too much, ends before anything is done. A change is one of the desired state, in
a conditional write; workers do the rest.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import datetime

from orchestrator.domain import desired
from orchestrator.domain.environment import ACTIVE, Environment, Status
from orchestrator.domain.errors import ErrorCode, Terminal
from orchestrator.domain.events import Event, EventKind
from orchestrator.domain.sweeps import Action, Finding, FindingKind, Outcome, SweepStatus
from orchestrator.ports import SweepPorts
from orchestrator.sweeper.drift import CloudSnapshot, Comparison
from orchestrator.sweeper.report import failed

LOOKED_FOR = "drift between cloud and records: orphans, missing services, foreign changes, unfinished removals"

_PAGE = 100


@dataclass(frozen=True)
class Result:
    """What the comparison found and did, how much it compared, and, if it did not go through, how it ended and why."""

    findings: tuple[Finding, ...] = ()
    counts: Mapping[str, int] | None = None
    trouble: tuple[SweepStatus, str] | None = None


class _TimeUp(Exception):
    """The invocation's time ends before everything was read."""


@dataclass(frozen=True)
class DeepSweep:
    ports: SweepPorts
    platform: str
    prefix: str

    def run(self, *, dry_run: bool, stop_at: datetime) -> Result:
        """Compare and heal. A dry run reads the same and writes nothing.

        Raises Transient or Terminal when the cloud or the table can't be read, or the reading is implausible.
        """
        try:
            comparison, counts, unreadable = self._compare(stop_at)
        except _TimeUp:
            return Result(
                trouble=(SweepStatus.STOPPED, "the time was over before everything was read; nothing was done")
            )
        too_many = comparison.too_many()
        if too_many:
            kept = (replace(each, outcome=_unless_kept(each, Outcome.ABORTED)) for each in comparison.findings)
            return Result((*unreadable, *kept), counts, (SweepStatus.ABORTED, too_many))
        if dry_run:
            planned = (replace(each, outcome=_unless_kept(each, Outcome.PLANNED)) for each in comparison.findings)
            return Result((*unreadable, *planned), counts)
        self.ports.reports.suspect(comparison.suspects)
        return Result((*unreadable, *(self._act(each, comparison, stop_at) for each in comparison.findings)), counts)

    def _compare(self, stop_at: datetime) -> tuple[Comparison, Mapping[str, int], Sequence[Finding]]:
        def check_time() -> None:
            if self.ports.clock() >= stop_at:
                raise _TimeUp

        inventory = self.ports.inventory
        began = self.ports.clock()
        services = inventory.services()
        check_time()
        stacks = inventory.stacks()
        check_time()
        snapshot = CloudSnapshot(began, services, stacks, inventory.resources())
        records, unreadable = self._records(snapshot, check_time)
        # An unreadable record still accounts for everything under its name.
        snapshot = snapshot.without(unreadable.keys(), self.prefix)
        comparison = Comparison(self.platform, self.prefix, snapshot, records, self.ports.reports.suspects())
        any_record = bool(records or unreadable) or bool(self._page((Status.DESTROYED,), None, 1)[0])
        comparison.check_plausible(inventory.is_alive, any_record=any_record)
        counts = {
            "services": len(snapshot.services),
            "stacks": len(snapshot.stacks),
            "resources": len(snapshot.resources),
            "environments": len(comparison.environments),
            "records": sum(not record.destroyed for record in records.values()),
        }
        findings = [
            failed(Finding(FindingKind.UNREADABLE_RECORD, Action.KEEP, each, "its record can't be read"), why)
            for each, why in unreadable.items()
        ]
        return comparison, counts, findings

    def _records(
        self, snapshot: CloudSnapshot, check_time: Callable[[], None]
    ) -> tuple[Mapping[str, Environment], Mapping[str, Terminal]]:
        """The records of everything active or found, each read for itself as listings lag; and the errors of unreadable ones."""
        found: dict[str, Environment] = {}
        unreadable: dict[str, Terminal] = {}
        for environment_id in sorted(snapshot.environments(self.prefix) | set(self._listed(check_time))):
            check_time()
            try:
                record = self.ports.records.get(environment_id)
            except Terminal as error:
                if error.code != ErrorCode.BAD_RECORD:
                    raise
                unreadable[environment_id] = error
            else:
                if record:
                    found[environment_id] = record
        return found, unreadable

    def _listed(self, check_time: Callable[[], None]) -> Iterator[str]:
        cursor: str | None = None
        while True:
            check_time()
            ids, cursor = self._page(ACTIVE, cursor, _PAGE)
            yield from ids
            if cursor is None:
                return

    def _page(self, statuses: Sequence[Status], cursor: str | None, limit: int) -> tuple[Sequence[str], str | None]:
        page = self.ports.records.listing(None, statuses, {}, cursor, limit)
        return [record.id for record in page.items], page.cursor

    def _act(self, finding: Finding, comparison: Comparison, stop_at: datetime) -> Finding:
        if finding.action is Action.KEEP:
            return replace(finding, outcome=Outcome.KEPT)
        if finding.action is Action.SUSPECT:
            return replace(finding, outcome=Outcome.SUSPECTED)
        if self.ports.clock() >= stop_at:
            return replace(finding, outcome=Outcome.DEFERRED)
        try:
            self._heal(finding, comparison)
        except Exception as error:
            return failed(finding, error)
        return replace(finding, outcome=Outcome.DISPATCHED)

    def _heal(self, finding: Finding, comparison: Comparison) -> None:
        """Change the desired state, if the record still is as it was compared, and ask for a worker."""
        assert finding.environment is not None
        now, before = self.ports.clock(), comparison.records.get(finding.environment)
        event = Event(now, EventKind(finding.kind), f"Found by the deep sweep: {finding.because}.")
        reason = f"{finding.kind}: {finding.because}"
        if finding.action is Action.REMOVE:
            owner = comparison.owners[finding.environment]
            after = desired.orphan(finding.environment, before, owner, reason, now)
        else:
            assert before is not None
            restore = finding.action is Action.RESTORE
            after = desired.restore(before, reason, now) if restore else desired.retry_removal(before, now)
        self.ports.records.write(before, after, event)
        self.ports.dispatcher.work(finding.environment)


def _unless_kept(finding: Finding, outcome: Outcome) -> Outcome:
    return Outcome.KEPT if finding.action is Action.KEEP else outcome
