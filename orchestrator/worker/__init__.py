"""One environment made true: decide, claim the lease, perform, release."""
