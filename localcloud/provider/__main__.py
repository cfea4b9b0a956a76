"""`python -m localcloud.provider [--port N]`: serve until a signal. The first line printed is the port; errors are logged."""

from __future__ import annotations

import argparse
import logging
import signal
import threading

from localcloud.provider.server import serve


def main() -> None:
    """Serve until SIGTERM or SIGINT."""
    parser = argparse.ArgumentParser(prog="python -m localcloud.provider", description=__doc__)
    parser.add_argument("--port", type=int, default=0, help="port on 127.0.0.1, 0 for a free one")
    options = parser.parse_args()
    logging.basicConfig(level=logging.INFO, format="%(asctime)s %(message)s")
    logging.getLogger("localcloud.provider").setLevel(logging.DEBUG)
    stop = threading.Event()
    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, lambda *_: stop.set())
    with serve(options.port) as port:
        print(port, flush=True)
        stop.wait()


if __name__ == "__main__":
    main()
