"""The Pulumi CLI and its state bucket."""
