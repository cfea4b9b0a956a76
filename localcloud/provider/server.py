"""The provider as a gRPC server on loopback, in this process or as a program."""

from __future__ import annotations

from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager

import grpc
from pulumi.runtime.proto import provider_pb2_grpc

from localcloud.provider.servicer import Servicer

# Enough for twenty engines with a few slow creates each, and quick calls at the same time.
_THREADS = 128
# The engine's own limit, 400 MB (sdk/go/common/util/rpcutil): archives travel in requests.
_MESSAGE = 400 * 1024 * 1024


@contextmanager
def serve(port: int = 0) -> Iterator[int]:
    """Serve on 127.0.0.1 until the block ends; gives the port (a free one for 0).

    Raises RuntimeError when the port is taken.
    """
    pool = ThreadPoolExecutor(max_workers=_THREADS, thread_name_prefix="provider")
    server = grpc.server(
        pool,
        options=[
            ("grpc.max_receive_message_length", _MESSAGE),
            ("grpc.max_send_message_length", _MESSAGE),
            # Two processes on one port would share its connections silently.
            ("grpc.so_reuseport", 0),
        ],
    )
    bound = server.add_insecure_port(f"127.0.0.1:{port}")
    provider_pb2_grpc.add_ResourceProviderServicer_to_server(Servicer(bound), server)
    server.start()
    try:
        yield bound
    finally:
        # Calls that are waiting notice within a fraction of a second that their context has ended.
        server.stop(grace=None).wait()
        pool.shutdown(wait=True)
