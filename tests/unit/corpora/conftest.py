"""A published corpus of a test's own, and a server for it."""

import hashlib
import http.server
import threading
from pathlib import Path

import pytest
from small_texts import TEXTS, TOKENS

from awd.corpora import catalogue


@pytest.fixture
def published(monkeypatch):
    """A corpus known by its checksums, with the sources a test gives it."""
    monkeypatch.setenv("NO_PROXY", "127.0.0.1")

    def publish(*sources: dict) -> None:
        entry = {
            "vocabulary": 5,
            "tokens": TOKENS,
            "sha256": {split: hashlib.sha256(text).hexdigest() for split, text in TEXTS.items()},
            "files": "tiny.{split}.txt",
            "sources": list(sources),
        }
        monkeypatch.setattr(catalogue, "entries", lambda: {"tiny": entry})

    return publish


@pytest.fixture
def serve():
    """Serve a folder on 127.0.0.1 to whatever looks like a browser; return its address."""
    servers = []

    def start(folder: Path) -> str:
        class Handler(http.server.SimpleHTTPRequestHandler):
            def __init__(self, *args):
                super().__init__(*args, directory=str(folder))

            def do_GET(self):
                if self.headers["User-Agent"].lower().startswith("mozilla/"):
                    super().do_GET()
                else:
                    self.send_error(403)

            def log_message(self, *args):
                pass

        server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        threading.Thread(target=server.serve_forever, args=(0.01,), daemon=True).start()
        servers.append(server)
        return f"http://127.0.0.1:{server.server_port}"

    yield start
    for server in servers:
        server.shutdown()
        server.server_close()
