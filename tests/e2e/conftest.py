"""Clients of the platform for several callers, and App Runner's emulator with its settings restored after each test."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from fibfactory_cli.client import Client
from localcloud.apprunner.admin import AppRunnerAdmin
from tools.platform_on_localcloud import Platform


def client_of(platform: Platform, name: str) -> Client:
    return Client(platform.outputs["api_url"], platform.cloud.session(name))


@pytest.fixture
def alice(platform: Platform) -> Client:
    """A client of a user whose only permission is to call the API."""
    return client_of(platform, "alice")


@pytest.fixture
def bob(platform: Platform) -> Client:
    return client_of(platform, "bob")


@pytest.fixture
def operator(platform: Platform) -> Client:
    return client_of(platform, "operator")


@pytest.fixture
def apprunner(platform: Platform) -> Iterator[AppRunnerAdmin]:
    """The control API of App Runner's emulator; the test's settings and faults are removed when it ends."""
    admin = platform.cloud.apprunner_admin
    before = admin.behaviour()
    yield admin
    admin.clear_faults()
    admin.behave(delays=before.delays.model_dump(), clock_speed=before.clock_speed, quota=before.quota)
