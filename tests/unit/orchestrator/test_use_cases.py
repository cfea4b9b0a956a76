"""Requests become desired state, which is stored before a worker is dispatched (I1, I6, I7)."""

from __future__ import annotations

from dataclasses import replace
from datetime import timedelta

import pytest

from orchestrator.domain.access import Caller
from orchestrator.domain.desired import Adjustment, LifetimeLimits
from orchestrator.domain.environment import Environment, Failure, Operation
from orchestrator.domain.errors import BadRequest, Conflict, ErrorCode, Forbidden, NotFound, PreconditionFailed
from orchestrator.domain.policy import Policy
from orchestrator.domain.sweeps import SweepKind
from tests.fakes.records import FakeRecords
from tests.unit.orchestrator.worlds import ALICE, BOB, OPERATOR, World, request

HOUR = timedelta(hours=1)
ECR = "123456789012.dkr.ecr.us-west-2.amazonaws.com/"
GROUP = "group:team-a"
ALICE_OF_A, BOB_OF_A = (Caller(each.identity, operator=False, group="team-a") for each in (ALICE, BOB))


def test_a_new_environment_is_stored_and_dispatched(world: World) -> None:
    accepted = world.environments.put(ALICE, "test1", request())
    assert accepted.outstanding
    assert world.record() == accepted
    assert world.dispatcher.asked == ["test1"]
    assert accepted.expires_at == world.clock() + timedelta(hours=12)


def test_repeating_a_request_changes_only_the_expiry(world: World) -> None:
    first = world.ready()
    world.clock.sleep(3600)
    again = world.environments.put(ALICE, "test1", request())
    assert not again.outstanding
    assert again.generation == first.generation
    assert again.expires_at == world.clock() + timedelta(hours=12)
    assert world.dispatcher.asked == ["test1"]


def test_a_new_spec_is_a_new_generation_and_is_dispatched(world: World) -> None:
    world.ready()
    accepted = world.environments.put(ALICE, "test1", request("public.ecr.aws/a/b:v2"))
    assert accepted.generation == 2
    assert accepted.status == "updating"
    assert world.dispatcher.asked == ["test1", "test1"]


def test_an_update_keeps_the_ttl_labels_and_protection_that_it_omits(world: World) -> None:
    world.ready(ttl=2 * HOUR, labels={"team": "a"}, protected=True)
    environment = world.environments.put(ALICE, "test1", request("public.ecr.aws/a/b:v2"))
    assert (environment.ttl, environment.labels, environment.protected) == (2 * HOUR, {"team": "a"}, True)


def test_a_put_never_brings_the_expiry_closer_but_a_patch_may(world: World) -> None:
    before = world.ready(ttl=5 * HOUR)
    assert world.environments.put(ALICE, "test1", request(ttl=HOUR)).expires_at == before.expires_at
    assert world.environments.adjust(ALICE, "test1", Adjustment(ttl=HOUR)).expires_at == world.clock() + HOUR


def test_a_put_with_a_ttl_does_not_end_an_environment_that_never_expires(world: World) -> None:
    unlimited = World(LifetimeLimits(None, None))
    unlimited.ready()
    assert unlimited.environments.put(ALICE, "test1", request(ttl=HOUR)).expires_at is None
    adjusted = unlimited.environments.adjust(ALICE, "test1", Adjustment(ttl=HOUR))
    assert adjusted.expires_at == unlimited.clock() + HOUR


def test_no_expiry_is_later_than_the_maximum_lifetime_from_creation(world: World) -> None:
    created = world.ready().created_at
    world.clock.sleep(6 * 86400)
    assert world.environments.adjust(
        ALICE, "test1", Adjustment(ttl=timedelta(days=5))
    ).expires_at == created + timedelta(days=7)
    unlimited = World(LifetimeLimits(None, None))
    assert unlimited.ready().expires_at is None


def test_I7_another_owners_environment_is_not_found(world: World) -> None:
    world.ready()
    for use in (
        lambda: world.environments.get(BOB, "test1"),
        lambda: world.environments.remove(BOB, "test1"),
        lambda: world.environments.adjust(BOB, "test1", Adjustment(protected=True)),
        lambda: world.environments.events(BOB, "test1", None, 10),
    ):
        with pytest.raises(NotFound):
            use()
    assert world.environments.list(BOB, labels={}, cursor=None, limit=10).items == []
    with pytest.raises(Forbidden):
        world.environments.list(BOB, owner=ALICE.owner, labels={}, cursor=None, limit=10)


def test_I7_another_owners_active_id_is_taken_and_reveals_nothing_more(world: World) -> None:
    before = world.ready()
    for use in (world.environments.put, world.environments.create):
        with pytest.raises(Conflict, match="taken") as refused:
            use(BOB, "test1", request())
        assert refused.value.code == "id_taken"
        assert ALICE.owner not in refused.value.message
    assert world.record() == before


def test_an_operator_sees_the_environments_of_all_owners(world: World) -> None:
    world.ready("test1", ALICE)
    world.ready("test2", BOB)
    listed = world.environments.list(OPERATOR, labels={}, cursor=None, limit=10).items
    assert {environment.id for environment in listed} == {"test1", "test2"}
    assert world.environments.get(OPERATOR, "test1").owner == ALICE.owner


def test_a_post_conflicts_with_an_existing_environment_unless_its_idempotency_key_matches(world: World) -> None:
    first = world.environments.create(ALICE, "test1", request(), idempotency="key")
    assert world.environments.create(ALICE, "test1", request(), idempotency="key") == first
    with pytest.raises(Conflict) as refused:
        world.environments.create(ALICE, "test1", request(), idempotency="another key")
    assert refused.value.code == "exists"
    assert world.dispatcher.asked == ["test1"]


def test_two_concurrent_posts_create_one_environment(world: World) -> None:
    world.records.meanwhile["requested"] = lambda: world.environments.create(BOB, "test1", request())
    with pytest.raises(Conflict) as refused:
        world.environments.create(ALICE, "test1", request())
    assert refused.value.code == "id_taken"
    assert world.record().owner == BOB.owner


def test_a_put_that_lost_a_race_is_applied_to_the_new_record(world: World) -> None:
    world.ready()
    world.records.meanwhile["requested"] = lambda: world.environments.adjust(
        ALICE, "test1", Adjustment(labels={"team": "b"})
    )
    environment = world.environments.put(ALICE, "test1", request("public.ecr.aws/a/b:v2"))
    assert environment.labels == {"team": "b"}
    assert environment.spec.image == "public.ecr.aws/a/b:v2"


def test_if_match_refuses_a_changed_or_missing_environment(world: World) -> None:
    version = world.ready().version
    world.environments.adjust(ALICE, "test1", Adjustment(labels={"team": "b"}))
    with pytest.raises(PreconditionFailed):
        world.environments.put(ALICE, "test1", request(), if_match=version)
    with pytest.raises(PreconditionFailed):
        world.environments.put(ALICE, "test9", request(), if_match=1)


def test_I6_a_protected_environment_is_removed_only_with_force(world: World) -> None:
    world.ready(protected=True)
    with pytest.raises(Conflict) as refused:
        world.environments.remove(ALICE, "test1")
    assert refused.value.code == "protected"
    assert world.environments.remove(ALICE, "test1", force=True).status == "destroying"


def test_a_repeated_removal_changes_nothing(world: World) -> None:
    world.ready()
    first = world.environments.remove(ALICE, "test1")
    assert world.environments.remove(ALICE, "test1") == first


def test_a_tombstone_shows_its_receipt_and_cannot_be_adjusted(world: World) -> None:
    world.ready()
    tombstone = world.destroy()
    assert tombstone.receipt is not None
    assert world.environments.remove(ALICE, "test1") == tombstone
    with pytest.raises(Conflict):
        world.environments.adjust(ALICE, "test1", Adjustment(protected=True))
    assert world.environments.list(ALICE, labels={}, cursor=None, limit=10).items == []


def test_a_removal_changes_no_tombstone_even_if_its_last_write_seemed_to_fail(world: World) -> None:
    """AWS can write the receipt and give an answer that its client can't read: then the worker writes a final failure, too."""
    world.ready()
    garbled = Failure(Operation.DESTROY, ErrorCode.AWS_CLIENT, "No such answer.", final=True, at=world.clock())
    tombstone = replace(world.destroy(), failure=garbled)
    world.records.records["test1"] = tombstone
    assert world.environments.remove(ALICE, "test1") == tombstone == world.record()


def test_a_reused_id_continues_its_counters_and_keeps_the_old_receipt(world: World) -> None:
    world.ready()
    tombstone = world.destroy()
    fresh = world.environments.put(BOB, "test1", request())
    assert (fresh.incarnation, fresh.generation, fresh.owner) == (2, tombstone.generation + 1, BOB.owner)
    assert fresh.version > tombstone.version
    assert fresh.lease.token == tombstone.lease.token
    assert fresh.receipt is None and fresh.observed.generation == 0
    assert world.records.tombstones == [tombstone]


def test_I7_if_match_does_not_reveal_the_version_of_another_owners_environment(world: World) -> None:
    version = world.ready().version
    for guess in (version, version + 1):
        with pytest.raises(Conflict) as refused:
            world.environments.put(BOB, "test1", request(), if_match=guess)
        assert refused.value.code == "id_taken"


def test_an_idempotency_key_belongs_to_one_incarnation(world: World) -> None:
    """A CI job that is run again after its environment has expired wants a new one."""
    first = world.environments.create(ALICE, "test1", request(), idempotency="key")
    world.work("test1")
    assert world.environments.create(ALICE, "test1", request(), idempotency="key").incarnation == first.incarnation
    world.destroy()
    again = world.environments.create(ALICE, "test1", request(), idempotency="key")
    assert again.incarnation == first.incarnation + 1 and again.outstanding
    assert world.environments.create(ALICE, "test1", request(), idempotency="key") == again


def test_requesting_an_environment_that_is_being_destroyed_restarts_its_lifetime(world: World) -> None:
    world.ready()
    world.clock.sleep(7 * 86400)
    world.environments.remove(ALICE, "test1")
    again = world.environments.put(ALICE, "test1", request())
    assert again.expires_at == world.clock() + timedelta(hours=12)


def test_an_environment_at_its_maximum_lifetime_cannot_be_updated(world: World) -> None:
    world.ready()
    world.clock.sleep(7 * 86400)
    with pytest.raises(Conflict) as refused:
        world.environments.put(ALICE, "test1", request("public.ecr.aws/a/b:v2"))
    assert refused.value.code == "lifetime_over"


def test_a_protected_environment_can_be_updated_at_any_age(world: World) -> None:
    """It never expires, so the maximum lifetime ends nothing; without the protection it does."""
    world.ready(protected=True)
    world.clock.sleep(8 * 86400)
    assert world.environments.put(ALICE, "test1", request("public.ecr.aws/a/b:v2")).outstanding
    world.work("test1")
    with pytest.raises(Conflict) as refused:
        world.environments.put(ALICE, "test1", request("public.ecr.aws/a/b:v3", protected=False))
    assert refused.value.code == "lifetime_over"


def test_a_long_poll_returns_when_the_version_differs(world: World) -> None:
    environment = world.ready()
    before = world.clock()
    assert world.environments.get(ALICE, "test1", unless_version=environment.version, wait=20) == environment
    assert world.clock() - before == timedelta(seconds=20)
    before = world.clock()
    world.environments.get(ALICE, "test1", unless_version=environment.version - 1, wait=20)
    assert world.clock() == before


def test_a_long_poll_for_events_returns_with_the_first_of_them(world: World) -> None:
    world.ready()
    seen = world.environments.events(ALICE, "test1", None, 100)
    before = world.clock()
    assert world.environments.events(ALICE, "test1", seen.cursor, 100, wait=20).items == []
    assert world.clock() - before == timedelta(seconds=20)

    def request_something(_seconds: float) -> None:
        world.environments.put(ALICE, "test1", request("public.ecr.aws/a/b:v2"))

    followed = replace(world.environments, sleep=request_something)
    assert [event.kind for event in followed.events(ALICE, "test1", seen.cursor, 100, wait=20).items] == ["requested"]
    assert world.environments.events(ALICE, "test1", None, 1, wait=20).items == seen.items[:1]


def test_a_long_poll_on_a_slow_table_ends_before_api_gateways_limit(world: World) -> None:
    class SlowRecords(FakeRecords):
        def get(self, environment_id: str) -> Environment | None:
            world.clock.sleep(0.7)
            return super().get(environment_id)

    environment = world.ready()
    slow = SlowRecords()
    slow.records = world.records.records
    began = world.clock()
    environments = replace(world.environments, ports=replace(world.ports, records=slow))
    environments.get(ALICE, "test1", unless_version=environment.version, wait=20)
    assert world.clock() - began <= timedelta(seconds=22)


def test_only_operators_can_start_and_read_sweeps(world: World) -> None:
    with pytest.raises(Forbidden):
        world.sweeps.start(ALICE, SweepKind.DEEP, dry_run=True)
    with pytest.raises(Forbidden):
        world.sweeps.get(ALICE, "sweep-1")
    assert world.sweeps.start(OPERATOR, SweepKind.LIGHT, dry_run=True).status == "requested"
    sweep = world.sweeps.get(OPERATOR, "sweep-1")
    assert (sweep.kind, sweep.dry_run) == ("light", True)
    assert world.dispatcher.asked == ["sweep sweep-1"]


def test_I7_group_members_share_their_environments_with_no_other_caller(world: World) -> None:
    made = world.ready("shared", ALICE_OF_A)
    assert made.owner == GROUP
    assert world.environments.get(BOB_OF_A, "shared").id == "shared"
    assert world.environments.adjust(BOB_OF_A, "shared", Adjustment(protected=True)).protected
    assert world.environments.put(BOB_OF_A, "shared", request("public.ecr.aws/a/b:v2")).owner == GROUP
    with pytest.raises(NotFound):
        world.environments.get(ALICE, "shared")
    with pytest.raises(Conflict, match="taken"):
        world.environments.put(BOB, "shared", request())
    assert world.environments.remove(BOB_OF_A, "shared", force=True).reason == f"removed by {BOB.identity}"


def test_I7_environments_from_before_joining_a_group_are_not_shared(world: World) -> None:
    world.ready("before", ALICE)
    assert world.environments.get(ALICE_OF_A, "before").owner == ALICE.owner
    world.environments.adjust(ALICE_OF_A, "before", Adjustment(protected=True))
    updated = world.environments.put(ALICE_OF_A, "before", request("public.ecr.aws/a/b:v2"))
    assert updated.owner == ALICE.owner
    with pytest.raises(NotFound):
        world.environments.get(BOB_OF_A, "before")


def test_a_group_member_can_list_the_groups_environments_and_its_own_only(world: World) -> None:
    world.ready("own", ALICE)
    world.ready("shared", BOB_OF_A)
    world.ready("bobs", BOB)

    def listed(owner: str | None = None) -> list[str]:
        page = world.environments.list(ALICE_OF_A, owner=owner, labels={}, cursor=None, limit=10)
        return [environment.id for environment in page.items]

    assert listed() == listed(GROUP) == ["shared"]
    assert listed(ALICE.owner) == ["own"]
    for other in (BOB.owner, "group:team-b"):
        with pytest.raises(Forbidden):
            listed(other)


def test_a_revived_environment_keeps_its_owner(world: World) -> None:
    for name, owner in (("own", ALICE), ("shared", BOB_OF_A)):
        world.ready(name, owner)
        world.destroy(name, owner)
        assert world.environments.revive(ALICE_OF_A, name).owner == owner.owner


def test_an_owner_cannot_have_more_environments_than_the_limit() -> None:
    world = World(policy=Policy(registries=("public.ecr.aws/",), environments_per_owner=2))
    world.ready("one")
    world.ready("two")
    for ask in (world.environments.put, world.environments.create):
        with pytest.raises(Forbidden, match=r"has 2 environments.*Remove one") as refused:
            ask(ALICE, "three", request())
        assert refused.value.code == "limit_reached"
    assert "three" not in world.records.records and world.dispatcher.asked == ["one", "two"]
    assert world.environments.put(ALICE, "two", request("public.ecr.aws/a/b:v2")).outstanding
    assert world.environments.put(BOB, "four", request()).outstanding
    assert world.environments.put(OPERATOR, "five", request()).outstanding


def test_an_environment_counts_toward_the_limit_until_it_is_destroyed() -> None:
    world = World(policy=Policy(registries=("public.ecr.aws/",), environments_per_owner=1))
    world.ready("one")
    world.environments.remove(ALICE, "one")
    with pytest.raises(Forbidden):
        world.environments.put(ALICE, "two", request())
    world.work("one")
    assert world.environments.put(ALICE, "two", request()).outstanding
    with pytest.raises(Forbidden):
        world.environments.revive(ALICE, "one")
    with pytest.raises(Forbidden):
        world.environments.put(ALICE, "one", request())
    assert world.environments.revive(OPERATOR, "one").outstanding


def test_a_group_counts_as_one_owner() -> None:
    world = World(policy=Policy(registries=("public.ecr.aws/",), environments_per_owner=1))
    world.ready("one", ALICE_OF_A)
    with pytest.raises(Forbidden, match=GROUP):
        world.environments.put(BOB_OF_A, "two", request())


@pytest.mark.parametrize(
    ("policy", "code"),
    [
        (Policy(registries=(ECR,)), "image_registry"),
        (Policy(), "image_registry"),
        (Policy(registries=("public.ecr.aws/",)), "no_secrets"),
        (
            Policy(registries=("public.ecr.aws/",), secrets_prefix="arn:aws:ssm:us-west-2:1:parameter/new/"),
            "secret_outside_prefix",
        ),
    ],
)
def test_revive_checks_the_spec_against_the_current_policy(policy: Policy, code: str) -> None:
    prefix = "arn:aws:ssm:us-west-2:1:parameter/old/"
    world = World(policy=Policy(registries=("public.ecr.aws/",), secrets_prefix=prefix))
    spec = replace(request().spec, secrets={"TOKEN": f"{prefix}token"})
    world.environments.put(ALICE, "test1", replace(request(), spec=spec))
    world.work("test1")
    tombstone = world.destroy()
    stricter = replace(world.environments, policy=policy)
    with pytest.raises(BadRequest) as refused:
        stricter.revive(ALICE, "test1")
    assert refused.value.code == code
    assert world.record() == tombstone
    assert world.environments.revive(ALICE, "test1").outstanding


def test_revive_needs_a_ttl_if_ttl_never_is_no_longer_allowed() -> None:
    policy = Policy(registries=("public.ecr.aws/",), allow_never=True)
    world = World(LifetimeLimits(timedelta(hours=12), None), policy)
    world.ready(ttl=None)
    world.destroy()
    stricter = replace(world.environments, policy=replace(policy, allow_never=False))
    with pytest.raises(BadRequest, match="give a ttl") as refused:
        stricter.revive(ALICE, "test1")
    assert refused.value.code == "bad_ttl"
    assert stricter.revive(ALICE, "test1", ttl=HOUR).ttl == HOUR
