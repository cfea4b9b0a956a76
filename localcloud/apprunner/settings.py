"""The emulator's settings: those fixed before it starts, and those that its control API changes while it runs.

Rule: unknown names are refused, so that a misspelt delay is not silently ignored.
"""

from __future__ import annotations

from enum import StrEnum
from pathlib import Path

from pydantic import BaseModel, ConfigDict, Field, PositiveInt

from localcloud.apprunner.model import OperationType
from localcloud.settings import ROOT

DEFAULT_IMAGES = ROOT / "localcloud" / "images.toml"


class _Model(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True)


class Delays(_Model):
    """How many seconds of the emulator's clock each operation takes at least."""

    create: float = Field(default=0.3, ge=0)
    update: float = Field(default=0.3, ge=0)
    delete: float = Field(default=0.3, ge=0)
    pause: float = Field(default=0.3, ge=0)
    resume: float = Field(default=0.3, ge=0)

    def of(self, kind: OperationType) -> float:
        """The delay of an operation; a deployment takes as long as an update."""
        return {
            OperationType.CREATE_SERVICE: self.create,
            OperationType.UPDATE_SERVICE: self.update,
            OperationType.START_DEPLOYMENT: self.update,
            OperationType.DELETE_SERVICE: self.delete,
            OperationType.PAUSE_SERVICE: self.pause,
            OperationType.RESUME_SERVICE: self.resume,
        }[kind]


class Behaviour(_Model):
    """What can be changed while it runs. `clock_speed` 1 is real time; with 0 time stands still until it is advanced."""

    delays: Delays = Delays()
    clock_speed: float = Field(default=1.0, ge=0)
    quota: int = Field(default=30, ge=0, description="Services in a region")


class EmulatorSettings(_Model):
    """What is fixed at the start; the command line's help says what each is. That it listens on loopback is no setting."""

    folder: Path
    port: int = Field(default=0, ge=0, le=65535)
    images: Path = DEFAULT_IMAGES
    iam_url: str | None = Field(default=None, pattern=r"^http://127\.0\.0\.1:[0-9]+/")
    registry: str | None = Field(default=None, pattern=r"^127\.0\.0\.1:[0-9]+$")
    start_timeout: float = Field(default=60.0, gt=0, description="Real seconds a process has to become healthy")
    behaviour: Behaviour = Behaviour()


class FaultKind(StrEnum):
    """The failures that can be injected.

    `throttling` and `internal_error` answer any operation with an error; `instance_role` and `access_role` answer a
    create or an update that names such a role with the error of a role that is not known everywhere yet. The others
    accept the request: with `fail` its work fails (CREATE_FAILED, rollback, DELETE_FAILED), with `fail_rollback` the
    rollback of an update too, and with `wedge` it never ends.
    """

    THROTTLING = "throttling"
    INTERNAL_ERROR = "internal_error"
    INSTANCE_ROLE = "instance_role"
    ACCESS_ROLE = "access_role"
    FAIL = "fail"
    FAIL_ROLLBACK = "fail_rollback"
    WEDGE = "wedge"


class Fault(_Model):
    """A fault for the next `times` calls that match the patterns (`*`, `?`): operation as `CreateService`, service name."""

    kind: FaultKind
    operation: str = "*"
    service: str = "*"
    times: PositiveInt = 1
