"""A server that speaks the dashboard's protocol, as little as the page needs, and that can be told to misbehave."""

from __future__ import annotations

import json
import queue
import threading
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any
from urllib.parse import parse_qs, urlsplit

from tests.page.packer import Lab, document

KEY = "secret-key"


class PageServer:
    """Serves a lab; use it with ``with``."""

    def __init__(self, lab: Lab) -> None:
        self.lab = lab
        self.requests: list[tuple[str, str, Any]] = []
        self.refuses = False
        self._streams: list[queue.Queue[str | None]] = []
        self._port = 0
        self._http: ThreadingHTTPServer | None = None

    def __enter__(self) -> PageServer:
        self.start()
        return self

    def __exit__(self, *_: object) -> None:
        self.stop()

    @property
    def address(self) -> str:
        return f"http://127.0.0.1:{self._port}/?key={KEY}"

    def start(self) -> None:
        handler = type("Handler", (_Handler,), {"server_of_page": self})
        self._http = ThreadingHTTPServer(("127.0.0.1", self._port), handler)
        self._http.daemon_threads = True
        self._port = self._http.server_port
        threading.Thread(target=self._http.serve_forever, kwargs={"poll_interval": 0.02}, daemon=True).start()

    def stop(self) -> None:
        if self._http is None:
            return
        for stream in list(self._streams):
            stream.put(None)
        self._http.shutdown()
        self._http.server_close()
        self._http = None

    def send(self, kind: str, data: Any) -> None:
        for stream in list(self._streams):
            stream.put(f"event: {kind}\ndata: {json.dumps(data)}\n\n")

    def tick(self, at: float, values: dict[str, dict[str, float]]) -> None:
        """Send readings, and keep them as a server would."""
        for host in self.lab.hosts:
            if host.name in values:
                host.times.append(at)
                for name, column in host.columns.items():
                    column.append(values[host.name].get(name, float("nan")))
        self.send("ticks", [{"host": host, "at": at, "values": said} for host, said in values.items()])

    def attach(self) -> queue.Queue[str | None]:
        stream: queue.Queue[str | None] = queue.Queue()
        self._streams.append(stream)
        return stream

    def detach(self, stream: queue.Queue[str | None]) -> None:
        self._streams.remove(stream)


class _Handler(BaseHTTPRequestHandler):
    server_of_page: PageServer

    def log_message(self, *_: object) -> None:
        pass

    def do_GET(self) -> None:
        path, query = self._parts("GET")
        if path == "/":
            return self._answer(document().encode(), "text/html; charset=utf-8")
        if query.get("key") != KEY:
            return self._answer(b"No key.", "text/plain", 403)
        if path == "/api/page":
            return self._answer(json.dumps(self.server_of_page.lab.page()).encode(), "application/json")
        if path == "/api/data":
            host = next(host for host in self.server_of_page.lab.hosts if host.name == query["host"])
            return self._answer(host.chunk(), "application/octet-stream")
        if path == "/api/stream":
            return self._stream()
        return self._answer(b"Not here.", "text/plain", 404)

    def do_POST(self) -> None:
        self._change("POST")

    def do_PATCH(self) -> None:
        self._change("PATCH")

    def do_DELETE(self) -> None:
        self._change("DELETE")

    def _parts(self, method: str, body: Any = None) -> tuple[str, dict[str, str]]:
        parts = urlsplit(self.path)
        self.server_of_page.requests.append((method, parts.path, body))
        return parts.path, {name: values[0] for name, values in parse_qs(parts.query).items()}

    def _change(self, method: str) -> None:
        length = int(self.headers.get("Content-Length", 0))
        body = json.loads(self.rfile.read(length)) if length else None
        path, query = self._parts(method, body)
        if self.server_of_page.refuses or query.get("key") != KEY:
            return self._answer(b"The recording is being closed.", "text/plain", 409)
        events = self.server_of_page.lab.events
        if method == "POST":
            event = {"id": 1 + max([event["id"] for event in events], default=0), **body}
            events.append(event)
        else:
            event = next(event for event in events if event["id"] == int(path.rpartition("/")[2]))
            event.update(body or {})
        if method == "DELETE":
            events.remove(event)
            self.server_of_page.send("gone", {"id": event["id"]})
            return self._answer(b"", "text/plain", 204)
        event["kind"] = "mark" if event["until"] is None else "span"
        self.server_of_page.send("event", event)
        return self._answer(json.dumps(event).encode(), "application/json")

    def _answer(self, content: bytes, kind: str, status: int = 200) -> None:
        self.send_response(status)
        self.send_header("Content-Type", kind)
        self.send_header("Content-Length", str(len(content)))
        self.end_headers()
        self.wfile.write(content)

    def _stream(self) -> None:
        stream = self.server_of_page.attach()
        self.send_response(200)
        self.send_header("Content-Type", "text/event-stream")
        self.end_headers()
        self.wfile.flush()
        try:
            while (message := stream.get()) is not None:
                self.wfile.write(message.encode())
                self.wfile.flush()
        except OSError:
            pass
        finally:
            self.server_of_page.detach(stream)
