"""What is made in the account, as Pulumi resources; `platform` puts the parts together."""
