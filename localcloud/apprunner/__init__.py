"""An App Runner emulator: AWS's wire protocol on loopback, checked by botocore's own model, and services that really
run.

Rule: by its answers a client cannot tell it from AWS, except for the URLs (`http://127.0.0.1:PORT`) and for the
emulator's own control API under `/_emulator/`.

A request passes `wire` (protocol, identity) → `schema` (botocore's model) → `operations` (the table) → `services` or
`tags` → `store`. `worker` carries out what takes time: it moves a service through `lifecycle` by `clock` and runs it
by a `runtime`.
"""
