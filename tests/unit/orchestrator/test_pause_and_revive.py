"""Pause, resume and revive, from the request to the reconciled environment."""

from __future__ import annotations

from datetime import timedelta

import pytest

from orchestrator.domain import desired, names
from orchestrator.domain.errors import Conflict, NotFound, Terminal
from orchestrator.domain.events import Event
from tests.unit.orchestrator.worlds import ALICE, BOB, IMAGE, World, request

PRIVATE = "111122223333.dkr.ecr.us-west-2.amazonaws.com/team/app"


def make_paused(world: World) -> None:
    world.ready()
    world.environments.pause(ALICE, "test1")
    world.work("test1")
    assert world.record().status == "paused"


def test_a_paused_environment_keeps_its_url_and_its_service(world: World) -> None:
    url = world.ready().observed.url
    accepted = world.environments.pause(ALICE, "test1")
    assert accepted.outstanding and accepted.status == "pausing"
    world.work("test1")
    assert world.record().status == "paused" and world.record().observed.url == url
    assert world.cloud.services["test1"].status == "PAUSED"
    assert world.records.kinds("test1")[-1] == "paused"


def test_a_pause_updates_the_stack_and_its_tags(world: World) -> None:
    make_paused(world)
    assert world.cloud.calls == ["deploy new", "deploy", "pause"]
    assert names.tags("p", "o", "test1", 2, paused=True)[names.TAG_DESIRED] == "paused"
    assert names.tags("p", "o", "test1", 3)[names.TAG_DESIRED] == "running"


def test_pausing_a_paused_environment_changes_nothing(world: World) -> None:
    make_paused(world)
    before = world.record()
    assert not world.environments.pause(ALICE, "test1").outstanding
    assert world.record() == before


def test_a_resumed_environment_is_ready_after_its_health_check(world: World) -> None:
    make_paused(world)
    world.cloud.while_asked = lambda: world.cloud.calls.append("health check")
    assert world.environments.resume(ALICE, "test1").status == "resuming"
    world.work("test1")
    assert world.record().status == "ready" and not world.record().observed.paused
    assert world.cloud.calls[-3:] == ["resume", "deploy", "health check"]


def test_a_new_spec_for_a_paused_environment_resumes_it_first(world: World) -> None:
    make_paused(world)
    world.environments.put(ALICE, "test1", request("public.ecr.aws/fibfactory/fibservice:v2"))
    world.work("test1")
    assert world.record().status == "ready"
    assert world.cloud.calls[-2:] == ["resume", "deploy"]


def test_putting_the_same_spec_resumes_a_paused_environment(world: World) -> None:
    make_paused(world)
    assert world.environments.put(ALICE, "test1", request()).status == "resuming"


def test_a_pause_requested_during_the_first_deploy_follows_it(world: World) -> None:
    world.environments.put(ALICE, "test1", request())
    world.cloud.while_asked = lambda: world.environments.pause(ALICE, "test1")
    world.work("test1")
    assert world.record().status == "paused"
    assert world.cloud.calls == ["deploy new", "deploy", "pause"]


def test_a_paused_environment_can_be_destroyed(world: World) -> None:
    make_paused(world)
    world.destroy()
    assert world.cloud.services == {}


def test_a_paused_environment_expires(world: World) -> None:
    world.ready(ttl=timedelta(hours=1))
    world.environments.pause(ALICE, "test1")
    world.work("test1")
    world.clock.sleep(3601)
    world.sweep()
    world.work("test1")
    assert world.record().status == "destroyed"


@pytest.mark.parametrize(("before", "code"), [("pause", "not_paused"), ("resume", "not_resumed")])
def test_a_pause_or_resume_without_effect_is_retried(world: World, before: str, code: str) -> None:
    if before == "resume":
        make_paused(world)
        world.environments.resume(ALICE, "test1")
    else:
        world.ready()
        world.environments.pause(ALICE, "test1")
    world.cloud.ignores_pauses = True
    world.work("test1")
    failure = world.record().failure
    assert failure and failure.code == code and world.record().retry_at
    world.cloud.ignores_pauses = False
    world.clock.sleep(31)
    world.work("test1")
    assert world.record().settled


def test_a_destroying_or_destroyed_environment_cannot_be_paused_or_resumed(world: World) -> None:
    world.ready()
    world.environments.remove(ALICE, "test1")
    for change in (world.environments.pause, world.environments.resume):
        with pytest.raises(Conflict) as refused:
            change(ALICE, "test1")
        assert refused.value.code == "destroying"
    world.work("test1")
    for change in (world.environments.pause, world.environments.resume):
        with pytest.raises(Conflict) as refused:
            change(ALICE, "test1")
        assert refused.value.code == "destroyed" and "revive" in refused.value.message


def test_revive_restores_spec_labels_and_protection_as_the_next_incarnation(world: World) -> None:
    world.ready(ttl=timedelta(hours=3), labels={"team": "a"}, protected=True)
    world.environments.remove(ALICE, "test1", force=True)
    world.work("test1")
    tombstone = world.record()
    revived = world.environments.revive(ALICE, "test1")
    assert revived.incarnation == tombstone.incarnation + 1
    assert (revived.spec, revived.labels, revived.protected) == (tombstone.spec, {"team": "a"}, True)
    assert revived.expires_at == world.clock() + timedelta(hours=3)
    assert revived.receipt is None and world.records.tombstones == [tombstone]
    world.work("test1")
    assert world.record().status == "ready"


def test_revive_accepts_another_ttl(world: World) -> None:
    world.ready()
    world.destroy()
    revived = world.environments.revive(ALICE, "test1", ttl=timedelta(hours=1))
    assert revived.expires_at == world.clock() + timedelta(hours=1)


@pytest.mark.parametrize("tag", [":pr-7", ""])
def test_revive_uses_the_image_digest_of_the_receipt(world: World, tag: str) -> None:
    world.cloud.digests[PRIVATE + tag] = "sha256:" + "a" * 64
    world.environments.put(ALICE, "test1", request(PRIVATE + tag))
    world.work("test1")
    receipt = world.destroy().receipt
    assert receipt and receipt.digest == "sha256:" + "a" * 64 and receipt.image == PRIVATE + tag
    revived = world.environments.revive(ALICE, "test1")
    assert revived.spec.image == f"{PRIVATE}@sha256:{'a' * 64}"


def test_revive_ignores_the_digest_of_another_image(world: World) -> None:
    world.cloud.digests[f"{PRIVATE}:one"] = "sha256:" + "a" * 64
    world.environments.put(ALICE, "test1", request(f"{PRIVATE}:one"))
    world.work("test1")
    world.cloud.errors = [Terminal("Bad image.", "create_failed")]
    world.environments.put(ALICE, "test1", request(f"{PRIVATE}:two"))
    world.work("test1")
    world.destroy()
    assert world.environments.revive(ALICE, "test1").spec.image == f"{PRIVATE}:two"


def test_a_new_spec_followed_by_a_pause_resumes_a_paused_environment_in_between(world: World) -> None:
    make_paused(world)
    world.environments.put(ALICE, "test1", request("public.ecr.aws/fibfactory/fibservice:v2"))
    world.environments.pause(ALICE, "test1")
    world.cloud.calls.clear()
    world.work("test1")
    assert world.cloud.calls == ["resume", "deploy", "pause"] and world.record().status == "paused"


def test_revive_uses_the_tag_if_no_digest_is_known(world: World) -> None:
    world.ready()
    world.destroy()
    assert world.environments.revive(ALICE, "test1").spec.image == IMAGE


def test_only_the_owner_can_revive_and_only_a_tombstone(world: World) -> None:
    world.ready()
    with pytest.raises(Conflict) as refused:
        world.environments.revive(ALICE, "test1")
    assert refused.value.code == "exists"
    world.destroy()
    with pytest.raises(NotFound):
        world.environments.revive(BOB, "test1")
    with pytest.raises(NotFound):
        world.environments.revive(ALICE, "never1")


def test_an_orphan_without_a_known_spec_cannot_be_revived(world: World) -> None:
    found = desired.orphan("test1", None, ALICE.owner, "orphan_service", world.clock())
    world.records.write(None, found, Event(world.clock(), "orphan_service", ""))
    world.work("test1")
    with pytest.raises(Conflict) as refused:
        world.environments.revive(ALICE, "test1")
    assert refused.value.code == "unknown_spec"


def test_an_orphan_of_a_tombstone_is_revived_with_the_tombstones_spec(world: World) -> None:
    world.ready()
    tombstone = world.destroy()
    found = desired.orphan("test1", tombstone, ALICE.owner, "orphan_service", world.clock())
    world.records.write(tombstone, found, Event(world.clock(), "orphan_service", ""))
    world.work("test1")
    assert world.environments.revive(ALICE, "test1").spec == tombstone.spec
