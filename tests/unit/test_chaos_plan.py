"""The plan of the crash runs and their figures: nothing is left out, and no bad ending counts as a good one."""

from __future__ import annotations

import json
from typing import Any

import pytest

from localcloud.faults.calls import Call
from localcloud.faults.faults import Moment
from tests.chaos import effects, report
from tests.chaos.effects import Effect
from tests.chaos.kill_targets import KillTarget
from tests.chaos.kills import Kill, Point, plan_lives
from tests.chaos.lifecycle import Healing


def call(service: str, operation: str, target: str = "", body: Any = None) -> Call:
    return Call(service, operation, target, json.dumps(body or {}).encode(), lambda: None)


def record(holder: str | None) -> Any:
    held = {"S": holder} if holder else {"NULL": True}
    return {"pk": {"S": "ENV#e1"}, "sk": {"S": "RECORD"}, "record": {"M": {"lease": {"M": {"holder": held}}}}}


@pytest.mark.parametrize(
    ("one", "name"),
    [
        (call("s3", "PutObject", ".pulumi/stacks/fibfactory/fibfactory-e1.json"), "state: Put checkpoint"),
        (call("s3", "CopyObject", ".pulumi/stacks/fibfactory/fibfactory-e1.json.bak"), "state: Copy checkpoint's copy"),
        (call("s3", "DeleteObject", ".pulumi/locks/organization/p/e1/7.json"), "state: Delete Pulumi's lock"),
        (call("apprunner", "CreateService"), "apprunner: CreateService"),
        (
            call("dynamodb", "TransactWriteItems", body={"TransactItems": [{"Put": {"Item": record("w")}}]}),
            "table: claim",
        ),
        (
            call("dynamodb", "TransactWriteItems", body={"TransactItems": [{"Put": {"Item": record(None)}}]}),
            "table: release",
        ),
        (
            call("dynamodb", "PutItem", body={"Item": {"pk": {"S": "SWEEP"}, "sk": {"S": "RUNNING"}}}),
            "table: SWEEP RUNNING",
        ),
        (
            call(
                "dynamodb",
                "TransactWriteItems",
                body={"TransactItems": [{"Put": {"Item": record("w")}}, {"Put": {"Item": {"kind": {"S": "ready"}}}}]},
            ),
            "table: ready",
        ),
    ],
)
def test_an_effect_has_the_same_name_in_every_run(one: Call, name: str) -> None:
    assert effects.name_of(one) == name


def test_effects_are_numbered_by_name_and_reads_are_none() -> None:
    key = ".pulumi/stacks/fibfactory/fibfactory-e1.json"
    calls = [call("s3", operation, key) for operation in ("PutObject", "GetObject", "HeadObject", "PutObject")]
    other = call("s3", "PutObject", ".pulumi/stacks/fibfactory/fibfactory-e2.json")
    checkpoints = [Effect("state: Put checkpoint", 1), Effect("state: Put checkpoint", 2)]
    assert effects.effects_of([calls[0], other, *calls[1:]], "e1") == checkpoints


def test_every_effect_of_every_step_is_a_kill_point_before_and_after() -> None:
    recording = {
        "create": [Effect("table: claim", 1), Effect("state: Put checkpoint", 1), Effect("table: ready", 1)],
        "destroy": [Effect("table: claim", 1)],
    }
    planned = plan_lives(recording, None)
    for step, found in recording.items():
        once = [life[step] for life in planned]
        reached = {(point.effect, point.moment) for point in once if point and not point.again}
        assert reached == {(effect, moment) for effect in found for moment in Moment}
    killed = {(point.moment, point.target) for life in planned if (point := life["create"])}
    assert {(moment, target) for moment in Moment for target in (KillTarget.CLI, KillTarget.CLI_AND_PLUGINS)} <= killed
    assert all(life["destroy"] for life in planned)
    points = [life["destroy"] for life in planned]
    assert any(point.again for point in points if point)


def test_fewer_points_are_spread_from_the_first_to_the_last() -> None:
    planned = plan_lives({"create": [Effect("table: progress", nth) for nth in range(1, 21)]}, 5)
    once = [point.effect.nth for life in planned if (point := life["create"]) and not point.again]
    assert (len(once), once[0], once[-1]) == (5, 1, 20)
    assert len(planned) > 5  # the rest also kill the worker that heals


def kill(healing: Healing) -> Kill:
    point = Point(Effect("table: claim", 1), Moment.AFTER, KillTarget.SANDBOX)
    return Kill("e1", "create", point, ("table: claim",), healing, strays=0)


@pytest.mark.parametrize(
    ("healing", "column"),
    [
        (Healing(1, 20.0, "failed: engine_failed: no", ()), "failed"),
        (Healing(6, 20.0, "stuck after 6 sweeps: None", ()), "stuck"),
        (Healing(1, 20.0, "lost: it is ready", ()), "lost"),
        (Healing(1, 20.0, "as desired", ("leaked: arn",)), "leaked"),
        (Healing(3, 20.0, "as desired", ()), "as_desired"),
    ],
)
def test_a_bad_ending_is_counted_and_listed(healing: Healing, column: str) -> None:
    figures = report.of_kills([kill(Healing(1, 20.0, "as desired", ())), kill(healing)], 50.0, [])
    assert figures[column] >= 1
    assert len(figures["not_ok"]) == 1
    assert not report.ok(figures)


def test_a_service_that_is_left_in_the_end_is_not_ok() -> None:
    good = [kill(Healing(2, 20.0, "as desired", ()))]
    assert report.ok(report.of_kills(good, 50.0, []))
    assert not report.ok(report.of_kills(good, 50.0, ["arn"]))
