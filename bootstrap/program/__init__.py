"""What is made in the account, as Pulumi resources; start with platform.py."""
