"""What must be there before Pulumi can start: the state bucket and its key."""
