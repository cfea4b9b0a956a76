"""An App Runner emulator: AWS's wire protocol on loopback, checked by botocore's own model, and services that really
run.

Rule: a client cannot tell it from AWS by what it answers, except for the URL (`http://127.0.0.1:PORT`) and for what
`/_emulator/` offers.

A request goes `wire` (protocol, identity) → `schema` (botocore's model) → `operations` (the table) → `services`,
`tags`, `autoscaling` → `store`. What takes time is carried out by `worker`, which moves a service through `lifecycle`
by `clock` and runs it by a `runtime`.
"""
