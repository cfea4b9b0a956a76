"""`python -m fibservice`: the application on waitress, a production WSGI server.

It ends cleanly on SIGTERM and SIGINT (exit code 0), and prints one sentence if it can't start (exit code 2).
"""

from __future__ import annotations

import logging
import os
import signal
import sys
from types import FrameType

from waitress.server import create_server

from fibservice.app import create_app
from fibservice.settings import InvalidSetting, read_settings


def main() -> int:
    """Serve until a signal; returns the exit code. Prints the address as soon as it listens."""
    try:
        settings = read_settings(os.environ)
        server = create_server(create_app(), host=settings.host, port=settings.port, threads=8, ident=None)
    except InvalidSetting as error:
        return _refuse(str(error))
    except OSError as error:
        return _refuse(f"Can't listen on {settings.host} port {settings.port}: {error.strerror}; set HOST or PORT.")
    signal.signal(signal.SIGTERM, _stop)
    # waitress warns about every request that waits for a thread, which is normal in a burst.
    logging.getLogger("waitress.queue").setLevel(logging.ERROR)
    host = f"[{settings.host}]" if ":" in settings.host else settings.host
    print(f"fibservice listens on http://{host}:{server.effective_port}", flush=True)
    server.run()
    server.close()
    return 0


def _stop(_signal: int, _frame: FrameType | None) -> None:
    # waitress ends its loop on SystemExit and finishes the requests in progress.
    raise SystemExit(0)


def _refuse(sentence: str) -> int:
    print(f"fibservice: {sentence}", file=sys.stderr)
    return 2


if __name__ == "__main__":
    sys.exit(main())
