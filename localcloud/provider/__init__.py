"""The stand-in for Pulumi's AWS and Docker plug-ins: Pulumi's provider protocol on one side, boto3 on the other.

One process serves many engines at once. What belongs to one engine (its configuration, its credentials, its cancel
flag) is kept per connection, so that engines never share it.

Where to find what, from the wire inwards:
- the protocol: `server`, `servicer` (Pulumi's messages), `property_values`, `connection`, `caller` (whose engine it is);
- what holds for every type: `lifecycle` (check, diff, create, …), `operation` (waits, retries), `schema`, `diff`, `tags`;
- one type: `resource` (the mechanism), `resources/` (the types, by service), `shapes` (Pulumi's names to AWS's);
- functions of the package (`aws.get_caller_identity`): `invokes`.

A new type is a class in the module of its service. pulumi.provider.experimental is not used: it does not pass on who
calls or old inputs, and has no way to report an id when a create fails.
"""
