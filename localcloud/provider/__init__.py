"""The stand-in for Pulumi's AWS and Docker plug-ins: Pulumi's provider protocol on one side, boto3 on the other.

One process serves many engines at once. What belongs to one engine (its configuration, its credentials, its cancel
flag) is kept per connection, so that engines never see each other's.
"""
