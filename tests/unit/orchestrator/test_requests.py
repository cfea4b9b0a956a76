"""What callers ask for becomes desired state, stored before a worker is asked for (I1, I6, I7)."""

from __future__ import annotations

from dataclasses import replace
from datetime import timedelta

import pytest

from orchestrator.desire import Lifetimes
from orchestrator.environment import Environment
from orchestrator.errors import Conflict, Forbidden, NotFound, PreconditionFailed
from orchestrator.fakes import FakeRecords
from tests.unit.orchestrator.worlds import ALICE, BOB, OPERATOR, World, wish

HOUR = timedelta(hours=1)


@pytest.fixture
def world() -> World:
    return World()


def test_a_new_environment_is_stored_and_a_worker_asked_for(world: World) -> None:
    accepted = world.environments.put(ALICE, "test1", wish())
    assert accepted.working
    assert world.record() == accepted.environment
    assert world.dispatcher.asked == ["test1"]
    assert accepted.environment.expires_at == world.clock() + timedelta(hours=12)


def test_the_same_request_again_changes_nothing_but_its_expiry(world: World) -> None:
    first = world.ready()
    world.clock.sleep(3600)
    again = world.environments.put(ALICE, "test1", wish())
    assert not again.working
    assert again.environment.generation == first.generation
    assert again.environment.expires_at == world.clock() + timedelta(hours=12)
    assert world.dispatcher.asked == ["test1"]


def test_another_spec_is_a_new_generation_with_a_worker(world: World) -> None:
    world.ready()
    accepted = world.environments.put(ALICE, "test1", wish("public.ecr.aws/a/b:v2"))
    assert accepted.environment.generation == 2
    assert accepted.environment.status == "updating"
    assert world.dispatcher.asked == ["test1", "test1"]


def test_an_update_keeps_ttl_labels_and_protection_that_it_leaves_out(world: World) -> None:
    world.ready(ttl=2 * HOUR, labels={"team": "a"}, protected=True)
    environment = world.environments.put(ALICE, "test1", wish("public.ecr.aws/a/b:v2")).environment
    assert (environment.ttl, environment.labels, environment.protected) == (2 * HOUR, {"team": "a"}, True)


def test_a_put_never_brings_the_expiry_closer_but_a_patch_may(world: World) -> None:
    before = world.ready(ttl=5 * HOUR)
    assert world.environments.put(ALICE, "test1", wish(ttl=HOUR)).environment.expires_at == before.expires_at
    assert world.environments.adjust(ALICE, "test1", ttl=HOUR).expires_at == world.clock() + HOUR


def test_no_expiry_is_later_than_the_hard_end_counted_from_creation(world: World) -> None:
    created = world.ready().created_at
    world.clock.sleep(6 * 86400)
    assert world.environments.adjust(ALICE, "test1", ttl=timedelta(days=5)).expires_at == created + timedelta(days=7)
    unlimited = World(Lifetimes(None, None))
    assert unlimited.ready().expires_at is None


def test_I7_anothers_environment_is_not_there(world: World) -> None:
    world.ready()
    for use in (
        lambda: world.environments.get(BOB, "test1"),
        lambda: world.environments.remove(BOB, "test1"),
        lambda: world.environments.adjust(BOB, "test1", protected=True),
        lambda: world.environments.events(BOB, "test1", None, 10),
    ):
        with pytest.raises(NotFound):
            use()
    assert world.environments.list(BOB, labels={}, cursor=None, limit=10).items == []
    with pytest.raises(Forbidden):
        world.environments.list(BOB, owner=ALICE.owner, labels={}, cursor=None, limit=10)


def test_I7_anothers_live_id_is_taken_and_nothing_more_is_said(world: World) -> None:
    before = world.ready()
    for use in (world.environments.put, world.environments.create):
        with pytest.raises(Conflict, match="taken") as refusal:
            use(BOB, "test1", wish())
        assert refusal.value.code == "id_taken"
        assert ALICE.owner not in refusal.value.message
    assert world.record() == before


def test_an_operator_sees_everybodys(world: World) -> None:
    world.ready("test1", ALICE)
    world.ready("test2", BOB)
    listed = world.environments.list(OPERATOR, labels={}, cursor=None, limit=10).items
    assert {environment.id for environment in listed} == {"test1", "test2"}
    assert world.environments.get(OPERATOR, "test1").owner == ALICE.owner


def test_a_post_conflicts_with_what_exists_unless_it_made_it(world: World) -> None:
    first = world.environments.create(ALICE, "test1", wish(), idempotency="key")
    assert world.environments.create(ALICE, "test1", wish(), idempotency="key").environment == first.environment
    with pytest.raises(Conflict) as refusal:
        world.environments.create(ALICE, "test1", wish(), idempotency="another key")
    assert refusal.value.code == "exists"
    assert world.dispatcher.asked == ["test1"]


def test_two_posts_at_once_make_one_environment(world: World) -> None:
    world.records.meanwhile["asked for"] = lambda: world.environments.create(BOB, "test1", wish())
    with pytest.raises(Conflict) as refusal:
        world.environments.create(ALICE, "test1", wish())
    assert refusal.value.code == "id_taken"
    assert world.record().owner == BOB.owner


def test_a_put_that_lost_a_race_decides_again_on_what_is_there(world: World) -> None:
    world.ready()
    world.records.meanwhile["asked for"] = lambda: world.environments.adjust(ALICE, "test1", labels={"team": "b"})
    environment = world.environments.put(ALICE, "test1", wish("public.ecr.aws/a/b:v2")).environment
    assert environment.labels == {"team": "b"}
    assert environment.spec.image == "public.ecr.aws/a/b:v2"


def test_if_match_refuses_what_changed_since(world: World) -> None:
    version = world.ready().version
    world.environments.adjust(ALICE, "test1", labels={"team": "b"})
    with pytest.raises(PreconditionFailed):
        world.environments.put(ALICE, "test1", wish(), if_match=version)
    with pytest.raises(PreconditionFailed):
        world.environments.put(ALICE, "test9", wish(), if_match=1)


def test_I6_a_protected_environment_is_removed_only_by_force(world: World) -> None:
    world.ready(protected=True)
    with pytest.raises(Conflict) as refusal:
        world.environments.remove(ALICE, "test1")
    assert refusal.value.code == "protected"
    assert world.environments.remove(ALICE, "test1", force=True).environment.status == "destroying"


def test_a_removal_asked_for_twice_is_one(world: World) -> None:
    world.ready()
    first = world.environments.remove(ALICE, "test1")
    assert world.environments.remove(ALICE, "test1").environment == first.environment


def test_a_tombstone_answers_with_its_receipt_and_can_only_be_made_anew(world: World) -> None:
    world.ready()
    world.environments.remove(ALICE, "test1")
    gone = world.work("test1")
    assert gone is not None and gone.receipt is not None
    assert world.environments.remove(ALICE, "test1").environment == gone
    with pytest.raises(Conflict):
        world.environments.adjust(ALICE, "test1", protected=True)
    assert world.environments.list(ALICE, labels={}, cursor=None, limit=10).items == []


def test_an_id_used_again_goes_on_counting_and_the_old_receipt_stays_with_its_owner(world: World) -> None:
    world.ready()
    world.environments.remove(ALICE, "test1")
    gone = world.work("test1")
    assert gone is not None
    fresh = world.environments.put(BOB, "test1", wish()).environment
    assert (fresh.incarnation, fresh.generation, fresh.owner) == (2, gone.generation + 1, BOB.owner)
    assert fresh.version > gone.version
    assert fresh.lease.token == gone.lease.token
    assert fresh.receipt is None and fresh.observed.generation == 0
    assert world.records.tombstones == [gone]


def test_I7_no_version_of_anothers_environment_can_be_guessed(world: World) -> None:
    version = world.ready().version
    for guess in (version, version + 1):
        with pytest.raises(Conflict) as refusal:
            world.environments.put(BOB, "test1", wish(), if_match=guess)
        assert refusal.value.code == "id_taken"


def test_a_post_that_arrives_again_after_the_destroy_makes_nothing_new(world: World) -> None:
    world.environments.create(ALICE, "test1", wish(), idempotency="key")
    world.work("test1")
    world.environments.remove(ALICE, "test1")
    gone = world.work("test1")
    again = world.environments.create(ALICE, "test1", wish(), idempotency="key")
    assert again.environment == gone and not again.working
    assert world.environments.create(ALICE, "test1", wish(), idempotency="new key").environment.incarnation == 2


def test_an_environment_on_its_way_out_that_is_wanted_again_starts_its_time_anew(world: World) -> None:
    world.ready()
    world.clock.sleep(7 * 86400)
    world.environments.remove(ALICE, "test1")
    again = world.environments.put(ALICE, "test1", wish()).environment
    assert again.expires_at == world.clock() + timedelta(hours=12)


def test_an_environment_at_its_hard_end_is_not_updated_any_more(world: World) -> None:
    world.ready()
    world.clock.sleep(7 * 86400)
    with pytest.raises(Conflict) as refusal:
        world.environments.put(ALICE, "test1", wish("public.ecr.aws/a/b:v2"))
    assert refusal.value.code == "lifetime_over"


def test_a_long_poll_answers_when_the_version_is_another(world: World) -> None:
    environment = world.ready()
    before = world.clock()
    assert world.environments.get(ALICE, "test1", unless_version=environment.version, wait=20) == environment
    assert world.clock() - before == timedelta(seconds=20)
    before = world.clock()
    world.environments.get(ALICE, "test1", unless_version=environment.version - 1, wait=20)
    assert world.clock() == before


def test_a_slow_table_does_not_make_a_wait_longer_than_api_gateways(world: World) -> None:
    class SlowRecords(FakeRecords):
        def get(self, environment_id: str) -> Environment | None:
            world.clock.sleep(0.7)
            return super().get(environment_id)

    environment = world.ready()
    slow = SlowRecords()
    slow.records = world.records.records
    began = world.clock()
    replace(world.environments, records=slow).get(ALICE, "test1", unless_version=environment.version, wait=20)
    assert world.clock() - began <= timedelta(seconds=22)


def test_sweeps_are_for_operators(world: World) -> None:
    with pytest.raises(Forbidden):
        world.sweeps.start(ALICE, kind="deep", dry_run=True)
    with pytest.raises(Forbidden):
        world.sweeps.get(ALICE, "sweep-1")
    assert world.sweeps.start(OPERATOR, kind="light", dry_run=True)["status"] == "requested"
    asked = world.sweeps.get(OPERATOR, "sweep-1")
    assert (asked["kind"], asked["dry_run"]) == ("light", True)
    assert world.dispatcher.asked == ["sweep sweep-1"]
