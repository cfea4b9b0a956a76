"""The table: which operation of which API is carried out by which function, and how each API names its errors.

Rule: an operation is here or the emulator does not have it. Input and output are botocore's shapes of the same name.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass

from botocore.model import OperationModel, ServiceModel

from localcloud.apprunner import autoscaling, services, tagging, tags
from localcloud.apprunner.cloud import Cloud
from localcloud.apprunner.errors import UnknownOperation
from localcloud.apprunner.model import Block, Caller
from localcloud.apprunner.schema import load_model

Function = Callable[[Cloud, Caller, Block], Block]


@dataclass(frozen=True)
class Api:
    """One of AWS's APIs: its model, its functions, and its names for three errors."""

    model: ServiceModel
    signing_name: str
    functions: Mapping[str, Function]
    invalid: str
    throttled: str
    internal: str

    @property
    def content_type(self) -> str:
        """The media type of its answers."""
        return f"application/x-amz-json-{self.model.metadata['jsonVersion']}"


@dataclass(frozen=True)
class Target:
    """What an X-Amz-Target header means."""

    api: Api
    operation: OperationModel
    function: Function


def load_apis() -> dict[str, Api]:
    """The APIs by their target prefix. Reads botocore's models: tens of milliseconds."""
    app_runner = Api(
        model=load_model("apprunner"),
        signing_name="apprunner",
        functions=services.OPERATIONS
        | autoscaling.OPERATIONS
        | {
            "TagResource": tags.tag_resource,
            "UntagResource": tags.untag_resource,
            "ListTagsForResource": tags.list_tags_for_resource,
        },
        invalid="InvalidRequestException",
        throttled="ThrottlingException",
        internal="InternalServiceErrorException",
    )
    tagging_api = Api(
        model=load_model("resourcegroupstaggingapi"),
        signing_name="tagging",
        functions={"GetResources": tagging.get_resources},
        invalid="InvalidParameterException",
        throttled="ThrottledException",
        internal="InternalServiceException",
    )
    return {api.model.metadata["targetPrefix"]: api for api in (app_runner, tagging_api)}


def find(apis: Mapping[str, Api], target: str) -> Target:
    """What `AppRunner.CreateService` and its like mean. Raises UnknownOperation."""
    prefix, _, name = target.partition(".")
    api = apis.get(prefix)
    if api is None or name not in api.model.operation_names:
        raise UnknownOperation(f"There is no operation {target!r}.")
    if name not in api.functions:
        raise UnknownOperation(f"The emulator does not have {target}.")
    return Target(api, api.model.operation_model(name), api.functions[name])
