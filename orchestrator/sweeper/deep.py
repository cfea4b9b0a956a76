"""The deep sweep: all that exists is compared with all that is recorded, and what disagrees is named and, where sure, healed.

The rule: the cloud is read first and the records last, so that what is made or removed meanwhile is never taken for an orphan; a
look that can't be right, or that asks for too much, ends before anything is done. What is done is a change of what is desired, in
a conditional write; workers do the rest.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime

from orchestrator.domain import desired
from orchestrator.domain.environment import ACTIVE, Environment, Status
from orchestrator.domain.errors import Terminal
from orchestrator.ports import Dispatcher, Event, Inventory, Records, Reports
from orchestrator.sweeper.drift import Action, CloudSnapshot, Comparison, Finding, environments_in, without
from orchestrator.sweeper.report import DISPATCHED, KEPT, LEFT, PLANNED, Step, failure

LOOKED_FOR = (
    "where cloud and records disagree: orphans, what is missing, what somebody else changed, unfinished removals"
)

ABORTED = "aborted"
SUSPECTED = "suspected; a later deep sweep removes it if nothing accounts for it by then"

_PAGE = 100


@dataclass(frozen=True)
class Outcome:
    """What the comparison found and did, how much was compared, and, unless all was well, why not more was done."""

    steps: tuple[Step, ...] = ()
    inventory: Mapping[str, int] | None = None
    trouble: str | None = None


class _TimeUp(Exception):
    """The invocation's time ends before everything was read."""


@dataclass(frozen=True)
class DeepSweep:
    records: Records
    reports: Reports
    dispatcher: Dispatcher
    inventory: Inventory
    clock: Callable[[], datetime]
    platform: str
    prefix: str

    def run(self, *, dry_run: bool, stop_at: datetime) -> Outcome:
        """Compare and heal. A dry run reads the same and writes nothing.

        Raises Transient or Terminal when the cloud or the table could not be read, or what was read can't be true.
        """
        try:
            comparison, counts, unreadable = self._compare(stop_at)
        except _TimeUp:
            return Outcome(trouble="stopped: the time was up before everything was read, and nothing of it was done")
        return self._acted(comparison, counts, unreadable, dry_run=dry_run, stop_at=stop_at)

    def _acted(
        self,
        comparison: Comparison,
        counts: Mapping[str, int],
        unreadable: Sequence[Step],
        *,
        dry_run: bool,
        stop_at: datetime,
    ) -> Outcome:
        findings = comparison.findings
        too_many = comparison.too_many()
        if too_many:
            steps = [_step(each, KEPT if each.action is Action.KEEP else ABORTED) for each in findings]
            return Outcome((*unreadable, *steps), counts, f"aborted: {too_many}")
        if dry_run:
            return Outcome((*unreadable, *(_step(each, _planned(each)) for each in findings)), counts)
        self.reports.suspect(comparison.suspects())
        return Outcome((*unreadable, *(self._taken(each, stop_at) for each in findings)), counts)

    def _compare(self, stop_at: datetime) -> tuple[Comparison, Mapping[str, int], Sequence[Step]]:
        def in_time() -> None:
            if self.clock() >= stop_at:
                raise _TimeUp

        began = self.clock()
        services = self.inventory.services()
        in_time()
        stacks = self.inventory.stacks()
        in_time()
        seen = CloudSnapshot(began, services, stacks, self.inventory.resources())
        records, unreadable = self._records(seen, in_time)
        if unreadable:
            seen = without(unreadable, self.prefix, seen)
        comparison = Comparison(self.platform, self.prefix, seen, records, self.reports.suspects())
        any_record = bool(records or unreadable) or bool(self._page((Status.DESTROYED,), None, 1)[0])
        comparison.check_plausible(any_record=any_record)
        counts = {
            "services": len(seen.services),
            "stacks": len(seen.stacks),
            "resources": len(seen.resources),
            "environments": len(comparison.environments),
            "records": sum(not record.destroyed for record in records.values()),
        }
        steps = [Step(each, Action.KEEP, "its record says nothing", failure(why)) for each, why in unreadable.items()]
        return comparison, counts, steps

    def _records(
        self, seen: CloudSnapshot, in_time: Callable[[], None]
    ) -> tuple[Mapping[str, Environment], Mapping[str, Terminal]]:
        """The records of all that lives and of all that was seen, each read for itself, as listings lag; and which can't be read.

        One that can't be read accounts for what is there, whatever it says.
        """
        ids = environments_in(self.prefix, seen) | set(self._listed(in_time))
        found: dict[str, Environment] = {}
        unreadable: dict[str, Terminal] = {}
        for environment_id in sorted(ids):
            in_time()
            try:
                record = self.records.get(environment_id)
            except Terminal as error:
                if error.code != "bad_record":
                    raise
                unreadable[environment_id] = error
            else:
                if record:
                    found[environment_id] = record
        return found, unreadable

    def _listed(self, in_time: Callable[[], None]) -> Iterator[str]:
        cursor: str | None = None
        while True:
            in_time()
            ids, cursor = self._page(ACTIVE, cursor, _PAGE)
            yield from ids
            if cursor is None:
                return

    def _page(self, statuses: Sequence[Status], cursor: str | None, limit: int) -> tuple[Sequence[str], str | None]:
        page = self.records.listing(None, statuses, {}, cursor, limit)
        return [record.id for record in page.items], page.cursor

    def _taken(self, finding: Finding, stop_at: datetime) -> Step:
        if finding.action is Action.KEEP:
            return _step(finding, KEPT)
        if finding.action is Action.SUSPECT:
            return _step(finding, SUSPECTED)
        if self.clock() >= stop_at:
            return _step(finding, LEFT)
        try:
            self._heal(finding)
        except Exception as error:
            return _step(finding, failure(error))
        return _step(finding, DISPATCHED)

    def _heal(self, finding: Finding) -> None:
        """Change what is desired, if the record still is what it was found by, and ask for a worker."""
        assert finding.environment is not None
        now, before = self.clock(), finding.record
        event = Event(now, str(finding.disagreement), f"By the deep sweep: {finding.because}.")
        reason = f"{finding.disagreement}: {finding.because}"
        if finding.action is Action.REMOVE:
            after = desired.orphan(finding.environment, before, finding.owner, reason, now)
            if before is None:
                self.records.add(after, event)
            else:
                self.records.reuse(before, after, event)
        else:
            assert before is not None
            restored = finding.action is Action.RESTORE
            after = desired.restore(before, reason, now) if restored else desired.retry_removal(before, now)
            self.records.replace(before, after, event)
        self.dispatcher.work(finding.environment)


def _step(finding: Finding, outcome: str) -> Step:
    return Step(finding.environment, finding.action, finding.because, outcome, finding.disagreement)


def _planned(finding: Finding) -> str:
    return KEPT if finding.action is Action.KEEP else PLANNED
