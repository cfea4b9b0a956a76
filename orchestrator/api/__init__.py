"""A request, from its event to its answer. No Pulumi here, and no wait for AWS but for the table."""
