"""The table of operations: which function carries out which operation of which API, and how each API names its errors.

Rule: the emulator has only the operations that are listed here. Input and output are botocore's shapes of the same
name.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field

from botocore.model import OperationModel, ServiceModel

from localcloud.apprunner import services, tagging, tags
from localcloud.apprunner.cloud import Cloud
from localcloud.apprunner.errors import UnknownOperation
from localcloud.apprunner.model import Block, Caller
from localcloud.apprunner.schema import load_model

Function = Callable[[Cloud, Caller, Block], Block]


@dataclass(frozen=True)
class Api:
    """One of AWS's APIs. `error_names`: how it names errors that App Runner names otherwise."""

    model: ServiceModel
    signing_name: str
    functions: Mapping[str, Function]
    error_names: Mapping[str, str] = field(default_factory=dict)

    @property
    def content_type(self) -> str:
        """The media type of its answers."""
        return f"application/x-amz-json-{self.model.metadata['jsonVersion']}"


@dataclass(frozen=True)
class Target:
    """The operation that an X-Amz-Target header names."""

    api: Api
    operation: OperationModel
    function: Function


def load_apis() -> dict[str, Api]:
    """The APIs by their target prefix. Reads botocore's models: tens of milliseconds."""
    app_runner = Api(load_model("apprunner"), "apprunner", services.OPERATIONS | tags.OPERATIONS)
    tagging_api = Api(
        load_model("resourcegroupstaggingapi"),
        "tagging",
        {"GetResources": tagging.get_resources},
        {
            "InvalidRequestException": "InvalidParameterException",
            "ThrottlingException": "ThrottledException",
            "InternalServiceErrorException": "InternalServiceException",
        },
    )
    return {api.model.metadata["targetPrefix"]: api for api in (app_runner, tagging_api)}


def find(apis: Mapping[str, Api], target: str) -> Target:
    """The operation named by `AppRunner.CreateService` and its like. Raises UnknownOperation."""
    prefix, _, name = target.partition(".")
    api = apis.get(prefix)
    if api is None or name not in api.model.operation_names:
        raise UnknownOperation(f"There is no operation {target!r}.")
    if name not in api.functions:
        raise UnknownOperation(f"The emulator does not have {target}.")
    return Target(api, api.model.operation_model(name), api.functions[name])
