"""The table of resource types: Pulumi's token to the handler that serves it.

Every class in the modules of this folder that has a token is in the table.
"""

from __future__ import annotations

from importlib import import_module
from pkgutil import iter_modules

from localcloud.provider.errors import ProviderError
from localcloud.provider.resource import Resource

_MODULES = [import_module(f"{__name__}.{module.name}") for module in iter_modules(__path__)]
_CLASSES = [found for module in _MODULES for found in vars(module).values() if isinstance(found, type)]
TYPES: dict[str, Resource] = {found.token: found() for found in _CLASSES if issubclass(found, Resource) and found.token}


def handler_for(token: str) -> Resource:
    """The handler of a type. Raises ProviderError for one that is not served."""
    if token not in TYPES:
        raise ProviderError(f"the stand-in provider does not serve {token}; it serves: {', '.join(sorted(TYPES))}")
    return TYPES[token]
