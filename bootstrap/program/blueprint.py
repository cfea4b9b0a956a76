"""What every part of the platform's program is made from."""

from __future__ import annotations

from dataclasses import dataclass

import pulumi

from bootstrap.foundations.lookup import Foundations
from bootstrap.names import Names
from bootstrap.settings import Settings


@dataclass(frozen=True)
class Blueprint:
    """A platform's settings and foundations, and the options of all its resources: they name the one provider."""

    settings: Settings
    foundations: Foundations
    opts: pulumi.ResourceOptions

    @property
    def names(self) -> Names:
        return self.foundations.names

    def after(self, *resources: pulumi.Resource) -> pulumi.ResourceOptions:
        """The options of a resource that has to wait for these."""
        return pulumi.ResourceOptions.merge(self.opts, pulumi.ResourceOptions(depends_on=list(resources)))
