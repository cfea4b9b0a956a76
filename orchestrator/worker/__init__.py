"""One environment brought to its desired state: decide, claim the lease, perform, release."""
