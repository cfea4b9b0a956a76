"""Deep sweeps of whole platforms that are corrupted, foreign and partly unknown, many times (I3, I4, I6).

`CHAOS_EXAMPLES` is the number of platforms; each is swept four times, hours apart, and its cloud changes in between.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from random import Random

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from orchestrator.domain import names
from orchestrator.domain.environment import Environment, Failure, Observed, Operation, Receipt, Spec
from orchestrator.domain.errors import FibfactoryError
from orchestrator.domain.sweeps import Action, FindingKind, Outcome, SweepKind, SweepReport, SweepStatus
from orchestrator.ports import FoundResource, FoundService, FoundStack
from tests.figures import wanted_examples, write_figures
from tests.unit.orchestrator.clouds import PREFIX, our_tags, queue, service, stack
from tests.unit.orchestrator.worlds import ALICE, IMAGE, PLATFORM, World

pytestmark = pytest.mark.slow

DUE = {
    FindingKind.DUE,
    FindingKind.EXPIRED,
    FindingKind.LEASE_EXPIRED,
    FindingKind.RETRY_DUE,
    FindingKind.NOT_PICKED_UP,
}
EXAMPLES = wanted_examples(1000)
PASSES = 4

_happened: Counter[str] = Counter()
"""What the sweeps did over all examples: a property that was never at stake would hold too."""


@dataclass(frozen=True)
class Mix:
    """How often each kind of thing is in a platform, as weights."""

    seed: int
    size: int
    good: int
    orphaned: int
    strange: int
    damage: int


mixes = st.builds(
    Mix,
    seed=st.integers(0, 2**32 - 1),
    size=st.integers(0, 60),
    good=st.integers(0, 10),
    orphaned=st.integers(0, 10),
    strange=st.integers(0, 10),
    damage=st.integers(0, 10),
)


class Platform:
    """A random platform. The test knows what may be touched in it without the sweep's help."""

    def __init__(self, mix: Mix) -> None:
        self.random = Random(mix.seed)
        self.mix = mix
        self.world = World()
        self.ids = [f"env-{number:02}" for number in range(mix.size)]
        for environment_id in self.ids:
            record = self._record(environment_id)
            if record:
                self.world.records.records[environment_id] = record
        self.world.clock.sleep(3600 * self.random.choice([1, 3]))
        if self.random.random() < 0.5:
            since = self.world.clock() - timedelta(hours=self.random.choice([0, 2, -2]))
            self.world.reports.suspected = {each: since for each in self.ids if self.random.random() < 0.5}
        self.fill_cloud()

    def fill_cloud(self) -> None:
        """Fill the cloud anew: mostly with what the records say, and with random deviations."""
        inventory, begin = self.world.inventory, datetime.fromisoformat("2026-01-01T00:00:00+00:00")
        services: list[FoundService] = []
        stacks: list[FoundStack] = []
        resources: list[FoundResource] = []
        for environment_id in self.ids:
            since = begin if self.random.random() < 0.8 else self.world.clock()
            if self._exists(environment_id):
                status = self.random.choices(["RUNNING", "PAUSED", "OPERATION_IN_PROGRESS"], [20, 1, 1])[0]
                services.append(service(environment_id, since, self._tags(environment_id), status))
            if self._exists(environment_id):
                stacks.append(stack(environment_id, since, self._tags(environment_id)))
            if self.random.random() < 0.1:
                resources.append(queue(environment_id))
        if self.random.random() * 40 < self.mix.damage:
            services = services[: self.random.randrange(len(services) + 1)]
        if self.random.random() * 40 < self.mix.damage:
            stacks = stacks[: self.random.randrange(len(stacks) + 1)]
        inventory.found_services, inventory.found_stacks, inventory.found_resources = services, stacks, resources

    def sweep(self) -> SweepReport:
        try:
            return self.world.sweep(SweepKind.DEEP)
        except FibfactoryError:
            return self.world.reports.reports["s"]

    def not_ours(self, environment_id: str) -> bool:
        """Whether anything under the environment's name does not have both tags that make it ours."""
        wanted = {names.TAG_PLATFORM: PLATFORM, names.TAG_ENVIRONMENT: environment_id}
        service_name, stack_name = names.service_name(PREFIX, environment_id), names.stack_name(environment_id)
        tags = [each.tags for each in self.world.inventory.found_services if each.name == service_name]
        tags += [each.tags for each in self.world.inventory.found_stacks if each.name == stack_name]
        return not tags or any(each is None or not wanted.items() <= each.items() for each in tags)

    def in_the_cloud(self) -> int:
        """The number of environments of which anything at all is in the cloud."""
        inventory = self.world.inventory
        found = {names.id_of_service(PREFIX, each.name) for each in inventory.found_services}
        found |= {names.id_of_stack(each.name) for each in inventory.found_stacks}
        return len(found | {each.tags[names.TAG_ENVIRONMENT] for each in inventory.found_resources})

    def _exists(self, environment_id: str) -> bool:
        record = self.world.records.records.get(environment_id)
        expected = record is not None and not record.destroyed
        return self.random.random() < (1 - self.mix.damage / 40 if expected else 0.1 + self.mix.orphaned / 12)

    def _tags(self, environment_id: str) -> Mapping[str, str] | None:
        strange = [
            None,
            {},
            our_tags(environment_id, platform="another"),
            our_tags(environment_id, platform="none"),
            our_tags(environment_id, environment=self.random.choice(self.ids)),
            {names.TAG_PLATFORM: PLATFORM},
        ]
        return self.random.choice(strange) if self.random.random() * 20 < self.mix.strange else our_tags(environment_id)

    def _record(self, environment_id: str) -> Environment | None:
        now = self.world.clock()
        record = Environment(environment_id, ALICE.owner, now, now, Spec(IMAGE), dispatched_at=now)
        ready = replace(record, observed=Observed(generation=1, at=now), protected=self.random.random() < 0.2)
        failure = Failure(Operation.DESTROY, "aws_refused", "AWS said no.", final=True, at=now)
        removing = replace(ready, present=False, generation=2)
        kinds: list[tuple[int, Environment | None]] = [
            (2 * self.mix.good, ready),
            (1, replace(ready, paused=True)),
            (1, replace(removing, failure=failure, removal_retries=self.random.randrange(5))),
            (1, removing),
            (1 + self.mix.orphaned, replace(removing, receipt=Receipt(now, (), (), "requested", IMAGE))),
            (1 + self.mix.orphaned, None),
        ]
        return self.random.choices([kind for _, kind in kinds], [weight for weight, _ in kinds])[0]


@pytest.fixture(scope="module", autouse=True)
def figures() -> Iterator[None]:
    """Writes what was swept, and fails when too little happened for the property to mean anything."""
    yield
    write_figures("deep sweeps of corrupted, foreign and unknown inventories", {"inventories": EXAMPLES, **_happened})
    if EXAMPLES >= 100:
        statuses = (SweepStatus.ABORTED, SweepStatus.FAILED, SweepStatus.DONE)
        actions = [action for action in Action if action is not Action.DISPATCH]
        expected = (*actions, *statuses, "protected", "not ours")
        assert [what for what in expected if not _happened[what]] == [], dict(_happened)


@settings(max_examples=EXAMPLES, deadline=None, suppress_health_check=list(HealthCheck))
@given(mixes)
def test_I4_I6_only_what_is_certainly_ours_is_touched_in_any_cloud(mix: Mix) -> None:
    platform = Platform(mix)
    world = platform.world
    known = set(world.reports.suspected)
    for number in range(PASSES):
        before, suspected = dict(world.records.records), world.reports.suspects()
        report = platform.sweep()
        check(platform, before, suspected, report)
        if number == 0:
            assert not dispatched(report, Action.REMOVE) - known, "removed by the sweep that first saw it"
        world.clock.sleep(3600 * platform.random.choice([0.5, 1, 24]))
        if platform.random.random() < 0.5:
            platform.fill_cloud()


def check(
    platform: Platform, before: Mapping[str, Environment], suspected: Mapping[str, datetime], report: SweepReport
) -> None:
    after = platform.world.records.records
    drift = [finding for finding in report.findings if finding.kind not in DUE]
    touched = {finding.environment for finding in drift if finding.outcome is Outcome.DISPATCHED}
    due = {finding.environment for finding in report.findings if finding.kind in DUE}
    _happened.update([report.status, *(finding.action for finding in drift)])

    # Nothing was touched that is not in the report.
    assert {each for each in after if after[each] != before.get(each)} <= touched | due
    if report.status is not SweepStatus.DONE:
        assert not touched and platform.world.reports.suspects() == suspected

    for environment_id, record in before.items():
        if record.protected and record.present:
            _happened["protected"] += 1
            assert environment_id not in touched
    gone = dispatched(report, Action.REMOVE)
    for environment_id in platform.ids:
        if platform.not_ours(environment_id):
            _happened["not ours"] += 1
            assert environment_id not in gone
    for environment_id in gone:
        assert environment_id not in before or before[environment_id].destroyed
        assert suspected[environment_id] + timedelta(hours=1) <= platform.world.clock()
        assert not after[environment_id].present and after[environment_id].needs_refresh
    for each in platform.world.inventory.found_services:
        if names.id_of_service(PREFIX, each.name) in gone:
            assert each.created_at + timedelta(hours=1) <= platform.world.clock()
    restored = dispatched(report, Action.RESTORE)
    for environment_id in restored:
        assert before[environment_id].present and after[environment_id].spec == before[environment_id].spec

    assert len(gone) <= max(10, 0.3 * platform.in_the_cloud())
    assert len(restored) <= max(10, 0.3 * len(before))


def dispatched(report: SweepReport, action: Action) -> set[str | None]:
    """The environments for which a worker was asked to do this."""
    return {
        finding.environment
        for finding in report.findings
        if finding.action is action and finding.outcome is Outcome.DISPATCHED and finding.kind not in DUE
    }
