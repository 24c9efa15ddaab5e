"""A page in a real Chromium calls the edge by grpc-web: another origin, a token, and what the browser asks before."""

from __future__ import annotations

import base64
import json
import subprocess
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from queue import Queue

import pytest

from shopfuse.v1.search_pb2 import SearchRequest, SearchResponse
from tests.debian import program
from tests.edge.edges import Backend, edge
from tests.edge.identities import Issuer, write_keys
from tests.edge.test_clients import JWT
from tests.edge.test_web import PATH, unframed

WITHIN_S = 60.0
PAGE = """<!doctype html><script>
const asked = ASKED;
const bytes = Uint8Array.from(atob(asked.request), c => c.charCodeAt(0));
const frame = new Uint8Array(5 + bytes.length);
new DataView(frame.buffer).setUint32(1, bytes.length);
frame.set(bytes, 5);
const headers = {"content-type": "application/grpc-web+proto", "x-grpc-web": "1"};
headers.authorization = "Bearer " + asked.token;
fetch(asked.url, {method: "POST", headers, body: frame})
  .then(async answer => ({
    status: answer.status,
    request_id: answer.headers.get("x-request-id"),
    grpc_status: answer.headers.get("grpc-status"),
    body: btoa(String.fromCharCode(...new Uint8Array(await answer.arrayBuffer()))),
  }))
  .catch(error => ({refused: String(error)}))
  .then(told => fetch("/told", {method: "POST", body: JSON.stringify(told)}));
</script>"""


class Page(ThreadingHTTPServer):
    """Serves one page, and keeps what its script tells."""

    def __init__(self) -> None:
        super().__init__(("127.0.0.1", 0), _Handler)
        self.text = ""
        self.told: Queue[dict[str, str | int | None]] = Queue()

    @property
    def origin(self) -> str:
        return f"http://127.0.0.1:{self.server_address[1]}"


class _Handler(BaseHTTPRequestHandler):
    server: Page

    def do_GET(self) -> None:
        self._answer(self.server.text.encode())

    def do_POST(self) -> None:
        self.server.told.put(json.loads(self.rfile.read(int(self.headers["content-length"]))))
        self._answer(b"")

    def _answer(self, body: bytes) -> None:
        self.send_response(200)
        self.send_header("content-type", "text/html")
        self.send_header("content-length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, format: str, *arguments: object) -> None:
        """Says nothing."""


@pytest.fixture
def page() -> Iterator[Page]:
    with Page() as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        yield server
        server.shutdown()


@contextmanager
def browser(url: str, folder: Path) -> Iterator[None]:
    options = ["--headless", "--no-sandbox", "--disable-gpu", "--disable-dev-shm-usage", f"--user-data-dir={folder}"]
    command = [program("chromium", "chromium"), *options, "--remote-debugging-port=0", url]
    with (folder / "chromium.log").open("wb") as log:
        process = subprocess.Popen(command, stdout=log, stderr=log)
    try:
        yield
    finally:
        process.kill()
        process.wait()


@pytest.mark.timeout(300)  # Debian's package may have to be fetched
@pytest.mark.parametrize("is_allowed", [True, False], ids=["allowed origin", "other origin"])
def test_page_in_a_browser_asks_by_grpc_web(
    tmp_path: Path, gateways: list[Backend], page: Page, is_allowed: bool
) -> None:
    issuer = Issuer()
    (tmp_path / "jwks").mkdir()
    (tmp_path / "profile").mkdir()
    write_keys(tmp_path / "jwks" / "jwks.json", issuer)
    origin = page.origin if is_allowed else "https://shop.example"
    with edge(tmp_path, gateways[:1], f'{JWT}[web]\norigins = ["{origin}"]\n') as running:
        request = base64.b64encode(SearchRequest(query="shoes").SerializeToString()).decode()
        asked = {"url": f"{running.url}{PATH}", "token": issuer.token(), "request": request}
        page.text = PAGE.replace("ASKED", json.dumps(asked))
        with browser(page.origin, tmp_path / "profile"):
            told = page.told.get(timeout=WITHIN_S)

    if not is_allowed:
        assert "Failed to fetch" in str(told["refused"])
        return
    message, trailers = unframed(base64.b64decode(str(told["body"])))
    assert told["status"] == 200
    assert told["request_id"]  # shown to the page
    assert trailers["grpc-status"] == "0"
    assert SearchResponse.FromString(message).request_id == "one"
