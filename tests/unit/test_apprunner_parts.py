"""Small parts of the App Runner emulator: its clock, pages, faults, images and the signature's reader."""

from __future__ import annotations

import sys
import threading
from pathlib import Path

import pytest

from localcloud.apprunner.clock import EmulatorClock
from localcloud.apprunner.errors import InvalidRequest, NotAuthenticated
from localcloud.apprunner.faults import Faults
from localcloud.apprunner.images import ImagesFileError, load_images, with_tag
from localcloud.apprunner.paging import page
from localcloud.apprunner.settings import DEFAULT_IMAGES, Fault, FaultKind
from localcloud.apprunner.wire import read_caller


def waiting(clock: EmulatorClock, due: float) -> tuple[threading.Thread, list[bool]]:
    results: list[bool] = []
    thread = threading.Thread(target=lambda: results.append(clock.wait_until(due)), daemon=True)
    thread.start()
    return thread, results


def test_a_clock_that_stands_still_moves_only_when_advanced() -> None:
    clock = EmulatorClock(speed=0)
    start = clock.now()
    assert clock.now() == start
    thread, results = waiting(clock, start + 120)
    clock.advance(119)
    assert (clock.now(), results) == (start + 119, [])
    clock.advance(1)
    thread.join(60)
    assert results == [True]


def test_a_clock_can_run_so_fast_that_minutes_pass_at_once() -> None:
    clock = EmulatorClock(speed=0)
    thread, results = waiting(clock, clock.now() + 3600)
    clock.set_speed(1_000_000)
    thread.join(60)
    assert results == [True]


@pytest.mark.parametrize("end", ["reset", "close"])
def test_waiting_ends_with_false_when_the_clock_is_reset_or_closed(end: str) -> None:
    clock = EmulatorClock(speed=0)
    thread, results = waiting(clock, clock.now() + 3600)
    if end == "reset":
        # A reset before the thread waits has no effect on it.
        while thread.is_alive():
            clock.reset(0)
    else:
        clock.close()
    thread.join(60)
    assert results == [False]


def test_a_time_that_has_passed_is_not_waited_for() -> None:
    clock = EmulatorClock(speed=0)
    assert clock.wait_until(clock.now())


def test_a_page_continues_after_the_last_item_shown_whatever_is_added_or_removed() -> None:
    shown, token = page([1, 2, 3, 4, 5], lambda each: each, of="numbers", size=2, token=None)
    assert shown == [1, 2]
    shown, token = page([0, 3, 5, 6], lambda each: each, of="numbers", size=2, token=token)
    assert shown == [3, 5]
    shown, token = page([0, 3, 5, 6], lambda each: each, of="numbers", size=2, token=token)
    assert (shown, token) == ([6], None)


@pytest.mark.parametrize("token", ["x", "=", "WyJvdGhlciIsIDFd", "e30=", "é", "WyJudW1iZXJzIiwgIjEiXQ=="])
def test_a_token_that_does_not_belong_to_the_list_is_refused(token: str) -> None:
    with pytest.raises(InvalidRequest):
        page([1], lambda each: each, of="numbers", size=1, token=token)


def test_a_token_of_another_list_or_a_changed_one_is_refused() -> None:
    _, token = page([1, 2], lambda each: each, of="others", size=1, token=None)
    assert token is not None
    assert page([1, 2], lambda each: each, of="others", size=1, token=token) == ([2], None)
    for wrong, of in ((token, "numbers"), (f"{token}x", "others"), (f"x{token}", "others")):
        with pytest.raises(InvalidRequest):
            page([1, 2], lambda each: each, of=of, size=1, token=wrong)


def test_a_fault_happens_as_often_as_asked_to_matching_calls() -> None:
    faults = Faults()
    faults.add(Fault(kind=FaultKind.FAIL, operation="Create*", service="pr-?", times=2))
    kinds = (FaultKind.FAIL, FaultKind.WEDGE)
    assert faults.take(kinds, "DeleteService", "pr-1") is None
    assert faults.take(kinds, "CreateService", "main") is None
    assert faults.take((FaultKind.THROTTLING,), "CreateService", "pr-1") is None
    assert faults.take(kinds, "CreateService", "pr-1") is FaultKind.FAIL
    assert [each.times for each in faults.waiting()] == [1]
    assert faults.take(kinds, "CreateService", "pr-2") is FaultKind.FAIL
    assert faults.take(kinds, "CreateService", "pr-3") is None


def test_the_oldest_fault_happens_first() -> None:
    faults = Faults()
    for kind in (FaultKind.WEDGE, FaultKind.FAIL):
        faults.add(Fault(kind=kind))
    kinds = tuple(FaultKind)
    assert [faults.take(kinds, "CreateService", "x") for _ in range(2)] == [FaultKind.WEDGE, FaultKind.FAIL]


@pytest.mark.parametrize(
    ("image", "expected"),
    [
        ("public.ecr.aws/a/b", "public.ecr.aws/a/b:latest"),
        ("public.ecr.aws/a/b:v1", "public.ecr.aws/a/b:v1"),
        ("localhost:5000/b", "localhost:5000/b:latest"),
        ("public.ecr.aws/a/b@sha256:00", "public.ecr.aws/a/b@sha256:00"),
    ],
)
def test_an_image_without_a_tag_is_the_latest(image: str, expected: str) -> None:
    assert with_tag(image) == expected


@pytest.mark.parametrize(
    ("image", "option"),
    [
        ("public.ecr.aws/fibfactory/fibservice", "-m"),
        ("public.ecr.aws/fibfactory/fibservice:v2", "-m"),
        ("000000000000.dkr.ecr.us-west-2.amazonaws.com/fibservice:v2", "-m"),
        ("000000000000.dkr.ecr.us-west-2.amazonaws.com/team/fibservice:v2", "-m"),
        ("000000000000.dkr.ecr.us-west-2.amazonaws.com/team/fibservice@sha256:" + "a" * 64, "-m"),
        ("public.ecr.aws/fibfactory/fibservice:broken", "-c"),
        ("000000000000.dkr.ecr.us-west-2.amazonaws.com/fibservice:broken", "-c"),
    ],
)
def test_the_sample_file_distinguishes_fibservice_from_its_broken_image(image: str, option: str) -> None:
    program = load_images(DEFAULT_IMAGES).program(image)
    assert program is not None
    assert program.command[:2] == (sys.executable, option)


def test_an_image_that_no_table_names_does_not_exist() -> None:
    assert load_images(DEFAULT_IMAGES).program("public.ecr.aws/fibfactory/another:v2") is None


@pytest.mark.parametrize("text", ["[[image]]", "[[image]]\nmatch=['a']\ncommand=['b']\ncolour='c'", "not toml", None])
def test_a_bad_images_file_is_named(tmp_path: Path, text: str | None) -> None:
    path = tmp_path / "images.toml"
    if text is not None:
        path.write_text(text)
    with pytest.raises(ImagesFileError, match=str(path)):
        load_images(path)


def test_the_caller_is_read_from_the_credential_scope() -> None:
    header = (
        "AWS4-HMAC-SHA256 Credential=AKIA1/20250101/eu-west-1/apprunner/aws4_request, "
        f"SignedHeaders=host;x-amz-date, Signature={'a' * 64}"
    )
    date = "20250101T000000Z"
    caller = read_caller(header, date, signing_name="apprunner")
    assert (caller.access_key, caller.region, caller.account) == ("AKIA1", "eu-west-1", "000000000000")
    with pytest.raises(NotAuthenticated, match="correct service"):
        read_caller(header, date, signing_name="tagging")
    with pytest.raises(NotAuthenticated, match="requires"):
        read_caller(header, None, signing_name="apprunner")
