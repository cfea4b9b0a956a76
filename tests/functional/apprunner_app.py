"""A small web application for the App Runner emulator's tests: answers with its process id and environment.

`HEALTH` is the status of `/health` (200). With `HELPER=yes` it starts a child process first and answers with its id too.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer


class Handler(BaseHTTPRequestHandler):
    helper: int | None = None

    def do_GET(self) -> None:
        body = json.dumps({"pid": os.getpid(), "helper": self.helper, "environment": dict(os.environ)}).encode()
        self.send_response(int(os.environ.get("HEALTH", "200")) if self.path == "/health" else 200)
        self.send_header("Content-Type", "application/json")
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)


if __name__ == "__main__":
    if os.environ.get("HELPER") == "yes":
        Handler.helper = subprocess.Popen([sys.executable, "-c", "import time; time.sleep(3600)"]).pid
    ThreadingHTTPServer((os.environ["HOST"], int(os.environ["PORT"])), Handler).serve_forever()
