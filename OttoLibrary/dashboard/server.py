"""The server of the dashboard: one page, its data, and a stream of news, for everyone who has the key.

``docs/decisions/0009-dashboard.md`` describes requests and answers. Starlette and uvicorn are imported on first use.
"""

from __future__ import annotations

import asyncio
import importlib
import ipaddress
import json
import math
import os
import secrets
import socket
import ssl
import sys
import threading
from collections import deque
from collections.abc import AsyncGenerator, Awaitable, Callable, Mapping, MutableMapping
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeAlias
from urllib.parse import parse_qs

from OttoLibrary.dashboard.page_source import EXPORTS, Source, Window
from OttoLibrary.dashboard.static_page import served_page
from OttoLibrary.engine import BackOff, Failure, supervise
from OttoLibrary.errors import NotOpenError, OttoError, PluginError, UnknownNameError, UsageError, ValueFormatError

if TYPE_CHECKING:
    import uvicorn
    from starlette.applications import Starlette
    from starlette.requests import Request
    from starlette.responses import Response

    from OttoLibrary.dashboard.visitors import Connections, Visitor

Message: TypeAlias = MutableMapping[str, Any]
Send: TypeAlias = Callable[[Message], Awaitable[None]]
Receive: TypeAlias = Callable[[], Awaitable[Message]]
_PULSE_S = 1.0
_ALIVE_S = 15.0
_START_S = 10.0
_STOP_S = 5.0
# Pulses, and bytes, that wait for one client.
_MOST_WAITING = 8
_MOST_WAITING_BYTES = 8 << 20
_BACKLOG = 32
# What the kernel keeps for a client that does not read.
_SEND_BUFFER_BYTES = 256 * 1024
_MOST_BODY_BYTES = 64 * 1024
_BODY_S = 10.0
# Each has a thread, a pipe and open recordings.
_MOST_EXPORTS = 8
_BLOCK_BYTES = 256 * 1024
_TYPES = {"json": "application/json", "csv": "text/csv", "prom": "text/plain"}
# The log of a run is other people's page: what it says and runs has no part in ours.
_LOG_POLICY = "sandbox allow-scripts allow-popups allow-downloads"
_TOO_MANY = "Too many pages of this dashboard are open. Close some of them."


def check_installed() -> None:
    """Raise PluginError with what to install when the server cannot run."""
    for package in ("starlette", "uvicorn"):
        try:
            importlib.import_module(package)
        except ImportError as error:
            raise PluginError(
                f"The dashboard needs a package that is not installed ({error}). "
                f"Install it with: {sys.executable} -m pip install 'robotframework-ottolibrary[dashboard]'"
            ) from error


class Dashboard:
    """Serves a source to browsers, in a thread of its own, from ``start`` to ``stop`` or to the end of the source.

    Args:
        source: Where the page gets its data.
        address: What it binds; on 127.0.0.1 only this machine gets there.
        port: The port, or 0 for a free one.
        certificate: A PEM file with a certificate for TLS, or None for plain HTTP.
        key: A PEM file with its private key; by default the certificate's file has it too.
        log: The ``log.html`` that the page's tests link to, or None.

    Raises:
        PluginError: A package is missing; the message says how it is installed.
    """

    def __init__(
        self,
        source: Source,
        *,
        address: str = "127.0.0.1",
        port: int = 0,
        certificate: str | Path | None = None,
        key: str | Path | None = None,
        log: Path | None = None,
    ) -> None:
        check_installed()
        self._source, self._log = source, log
        self._address, self._port = address, port
        self._certificate, self._private_key = certificate, key or certificate
        self._key, self._log_key = secrets.token_urlsafe(24), secrets.token_urlsafe(24)
        self._names: frozenset[str] = frozenset()
        self._clients: set[_Client] = set()
        self._server: uvicorn.Server | None = None
        self._loop: asyncio.AbstractEventLoop | None = None
        self._thread: threading.Thread | None = None
        self._ready = threading.Event()
        self._connections: Connections
        self._exports = threading.BoundedSemaphore(_MOST_EXPORTS)

    # -- life

    def start(self) -> None:
        """Begin to serve; return when it answers.

        Raises:
            UsageError: It cannot bind, or the certificate cannot be used.
        """
        # Read now, so that the first browser need not wait for it.
        served_page("")
        listening = self._bind()
        try:
            self._server = self._make_server()
        except BaseException:
            listening.close()
            raise
        self._thread = threading.Thread(target=self._run, args=(listening,), name="OttoLibrary dashboard", daemon=True)
        self._thread.start()
        self._ready.wait(_START_S)
        if not self._server.started:
            self.stop()
            raise UsageError(f"The dashboard did not start on {self._address} in {_START_S:g} seconds.")
        self._source.on_end(self._leave)

    @property
    def url(self) -> str:
        """The address of the page, with the key that opens it. Everyone who has it can see everything and add events."""
        scheme = "https" if self._certificate else "http"
        host = socket.gethostname() if self._is_open_to_all else self._address
        return f"{scheme}://{f'[{host}]' if ':' in host else host}:{self._port}/?key={self._key}"

    def stop(self) -> None:
        """End all streams, close the port and end the thread, in 5 seconds at most; idempotent."""
        self._leave()
        thread, self._thread = self._thread, None
        if thread is not None:
            thread.join(_STOP_S)

    def _leave(self) -> None:
        """Begin to stop, without waiting."""
        loop, server = self._loop, self._server
        if loop is None or server is None:
            return
        server.should_exit = True
        try:
            loop.call_soon_threadsafe(self._end_streams)
        except RuntimeError:
            # It has ended by itself in the meantime.
            return

    def _bind(self) -> socket.socket:
        try:
            family, kind, protocol, _, place = socket.getaddrinfo(self._address, self._port, type=socket.SOCK_STREAM)[0]
            made = socket.socket(family, kind, protocol)
        except OSError as error:
            raise UsageError(f"The dashboard cannot bind '{self._address}': {error.strerror or error}.") from error
        try:
            made.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            # Inherited by each connection: a slow client waits for little that is old.
            made.setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, _SEND_BUFFER_BYTES)
            made.bind(place)
            made.listen(_BACKLOG)
        except OSError as error:
            made.close()
            raise UsageError(
                f"The dashboard cannot bind port {self._port} of '{self._address}': {error.strerror or error}. "
                "Choose another port, or 0 for a free one."
            ) from error
        self._port = made.getsockname()[1]
        self._names = self._own_names(place[0])
        return made

    def _own_names(self, bound: str | int) -> frozenset[str]:
        names = {"localhost", "127.0.0.1", "::1", self._address.lower(), str(bound)}
        if self._is_open_to_all:
            # Not the name with its domain: to find that may take a name server longer than anybody waits.
            names.add(socket.gethostname().lower())
        return frozenset(names)

    @property
    def _is_open_to_all(self) -> bool:
        return self._address in {"", "0.0.0.0", "::"}

    def _make_server(self) -> uvicorn.Server:
        import uvicorn

        config = uvicorn.Config(
            self._answer,
            interface="asgi3",
            loop="asyncio",
            http="h11",
            ws="none",
            lifespan="off",
            # Addresses carry the key: nothing of them is logged.
            log_config=None,
            log_level="critical",
            access_log=False,
            server_header=False,
            proxy_headers=False,
            timeout_graceful_shutdown=1,
            ssl_certfile=str(self._certificate) if self._certificate else None,
            ssl_keyfile=str(self._private_key) if self._private_key else None,
        )
        self._app = self._make_app()
        try:
            config.load()
        except (OSError, ssl.SSLError) as error:
            raise UsageError(
                f"The certificate '{self._certificate}' cannot be used: {error}. It must be a PEM file with the certificate and "
                "its private key, one after the other."
            ) from error
        return uvicorn.Server(config)

    def _run(self, listening: socket.socket) -> None:
        try:
            asyncio.run(self._serve(listening))
        finally:
            listening.close()
            self._ready.set()

    async def _serve(self, listening: socket.socket) -> None:
        from OttoLibrary.dashboard.visitors import Connections

        assert self._server is not None
        self._loop = asyncio.get_running_loop()
        self._connections = Connections(self._server, listening, self._answer)
        tasks = [
            asyncio.create_task(supervise(work, _report, BackOff(first_s=_PULSE_S)))
            for work in (self._pulse, self._connections.accept)
        ]
        try:
            # Connections are accepted here, not by uvicorn, which would take any number of them.
            await self._server.serve(sockets=[])
        finally:
            for task in tasks:
                task.cancel()
            for connection in list(self._server.server_state.connections):
                # A client that has not read by now never will.
                if connection.transport is not None:
                    connection.transport.abort()

    # -- the stream

    async def _pulse(self) -> None:
        """Send news once a second, encoded once for all clients."""
        while not self._server or not self._server.started:  # noqa: ASYNC110 - uvicorn does not say when
            await asyncio.sleep(0.01)
        self._ready.set()
        quiet_s = 0.0
        while True:
            await asyncio.sleep(_PULSE_S)
            news = self._source.news()
            quiet_s = 0.0 if news else quiet_s + _PULSE_S
            if self._clients:
                self._publish(b"".join(_message(kind, data) for kind, data in news))
            if quiet_s >= _ALIVE_S:
                # So that dead connections are noticed.
                self._publish(b": alive\n\n")
                quiet_s = 0.0

    def _publish(self, messages: bytes) -> None:
        for client in self._clients:
            if messages:
                client.offer(messages)

    def _end_streams(self) -> None:
        for client in self._clients:
            client.end()

    async def _messages(self) -> AsyncGenerator[bytes, None]:
        client = _Client()
        self._clients.add(client)
        try:
            yield b": welcome\n\n"
            while (message := await client.next()) is not None:
                yield message
        finally:
            self._clients.discard(client)

    # -- access

    async def _answer(self, visitor: Visitor, scope: Message, receive: Receive, send: Send) -> None:
        """Let in only requests that have the key and ask for this server."""
        from starlette.responses import PlainTextResponse

        app: Any = self._app
        if refusal := self._refusal(scope):
            app = PlainTextResponse(refusal, 403, headers={"connection": "close"})
        elif not self._connections.admit(visitor):
            app = PlainTextResponse(_TOO_MANY, 503, headers={"connection": "close"})
        await app(scope, receive, _with_headers(send))

    def _refusal(self, scope: Message) -> str:
        headers = dict(scope["headers"])
        if not self._is_own(headers.get(b"host", b"").decode("latin-1")):
            return "This dashboard is not served under this name."
        given = parse_qs(scope["query_string"].decode("latin-1")).get("key", [""])[0]
        wanted = self._log_key if scope["path"] == "/log.html" else self._key
        if not secrets.compare_digest(given.encode(), wanted.encode()):
            return "The access key is missing or wrong. Open the address that was printed when the dashboard was started."
        return ""

    def _is_own(self, given: str) -> bool:
        """Return False for a name that somebody else may point at this machine (DNS rebinding)."""
        name = given.rpartition(":")[0] if not given.endswith("]") and ":" in given else given
        name = name.strip("[]").lower()
        if name in self._names:
            return True
        return self._is_open_to_all and _is_literal(name)

    # -- routes

    def _make_app(self) -> Starlette:
        from starlette.applications import Starlette
        from starlette.exceptions import HTTPException
        from starlette.routing import Route

        routes = [
            Route("/", self._get_html),
            Route("/log.html", self._get_log),
            Route("/api/page", self._get_page),
            Route("/api/data", self._get_data),
            Route("/api/stream", self._get_stream),
            Route("/api/export.{form}", self._get_export),
            Route("/api/events", self._post_event, methods=["POST"]),
            Route("/api/events/{number:int}", self._change_event, methods=["PATCH", "DELETE"]),
        ]
        handlers: Mapping[Any, Any] = {OttoError: _refused, HTTPException: _not_found, Exception: _broken}
        return Starlette(routes=routes, exception_handlers=handlers)

    def _get_html(self, request: Request) -> Response:
        from starlette.responses import HTMLResponse

        nonce = secrets.token_urlsafe(16)
        rules = [
            *("default-src 'none'", f"script-src 'nonce-{nonce}'", f"style-src 'nonce-{nonce}'", "connect-src 'self'"),
            *("img-src data:", "base-uri 'none'", "form-action 'none'", "frame-ancestors 'none'"),
        ]
        return HTMLResponse(served_page(nonce), headers={"content-security-policy": "; ".join(rules)})

    def _get_log(self, request: Request) -> Response:
        from starlette.exceptions import HTTPException
        from starlette.responses import FileResponse

        if self._log is None or not self._log.is_file():
            raise HTTPException(404)
        return FileResponse(self._log, media_type="text/html", headers={"content-security-policy": _LOG_POLICY})

    def _get_page(self, request: Request) -> Response:
        page = self._source.page()
        page["tests"] = [test | {"link": self._linked(str(test.get("link", "")))} for test in page["tests"]]
        return _json(page)

    def _linked(self, link: str) -> str:
        """Return a link into the log with the key of the log, which opens nothing else."""
        _, hash_sign, place = link.partition("#")
        return f"log.html?key={self._log_key}{hash_sign}{place}" if link and self._log is not None else ""

    def _get_data(self, request: Request) -> Response:
        from starlette.responses import Response

        return Response(self._source.chunk(request.query_params.get("host", "")), media_type="application/octet-stream")

    async def _get_stream(self, request: Request) -> _Streamed:
        return _Streamed(self._messages(), media_type="text/event-stream")

    def _get_export(self, request: Request) -> _Streamed:
        from starlette.exceptions import HTTPException

        form = request.path_params["form"]
        if form not in EXPORTS:
            raise UnknownNameError("export", form, EXPORTS)
        asked = request.query_params
        window = Window(asked.get("host", ""), _moment(asked.get("since"), -math.inf), _moment(asked.get("until"), math.inf))
        if not self._exports.acquire(blocking=False):
            raise HTTPException(503, "Too many exports are running. Try again when one has ended.")
        return _Streamed(
            _Export(self._source, form, window, self._exports.release).blocks(),
            media_type=f"{_TYPES[form]}; charset=utf-8",
            headers={"content-disposition": f'attachment; filename="metrics.{form}"'},
        )

    async def _post_event(self, request: Request) -> Response:
        from starlette.concurrency import run_in_threadpool

        return _json(await run_in_threadpool(self._source.add_event, await _body(request)), 201)

    async def _change_event(self, request: Request) -> Response:
        from starlette.concurrency import run_in_threadpool
        from starlette.exceptions import HTTPException
        from starlette.responses import Response

        number = request.path_params["number"]
        if number not in await run_in_threadpool(self._source.events):
            raise HTTPException(404)
        if request.method == "DELETE":
            await run_in_threadpool(self._source.delete_event, number)
            return Response(status_code=204)
        return _json(await run_in_threadpool(self._source.change_event, number, await _body(request)))


class _Client:
    """Messages that wait for one client; a client that is too slow loses them all and is told to load everything again."""

    def __init__(self) -> None:
        self._waiting: deque[bytes | None] = deque()
        self._some = asyncio.Event()

    def offer(self, messages: bytes) -> None:
        """Add the messages of one pulse, however many they are."""
        waiting_bytes = sum(len(waiting or b"") for waiting in self._waiting)
        if len(self._waiting) >= _MOST_WAITING or (waiting_bytes and waiting_bytes + len(messages) > _MOST_WAITING_BYTES):
            self._waiting.clear()
            self._waiting.append(_message("resync", {}))
        self._waiting.append(messages)
        self._some.set()

    def end(self) -> None:
        self._waiting.extend((_message("end", {}), None))
        self._some.set()

    async def next(self) -> bytes | None:
        """Return the next messages as soon as there are some, or None at the end."""
        while not self._waiting:
            self._some.clear()
            await self._some.wait()
        return self._waiting.popleft()


class _Streamed:
    """An answer in pieces; its generator is closed with it, also when the client disconnects in the middle."""

    def __init__(self, pieces: AsyncGenerator[bytes, None], **options: Any) -> None:
        from starlette.responses import StreamingResponse

        self._pieces = pieces
        self._answer = StreamingResponse(pieces, **options)

    async def __call__(self, scope: Message, receive: Receive, send: Send) -> None:
        try:
            await self._answer(scope, receive, send)
        finally:
            await self._pieces.aclose()


class _Export:
    """An export through a pipe: it may be larger than memory, and a client may be slow or disconnect.

    Args:
        source: Where the readings come from.
        form: One of ``EXPORTS``.
        window: What is exported.
        on_end: Called when all is written, or nobody reads it any more.

    Raises:
        OttoError: It cannot be made; raised before the first block.
    """

    def __init__(self, source: Source, form: str, window: Window, on_end: Callable[[], None]) -> None:
        self._failure: Exception | None = None
        self._on_end = on_end
        reading, writing = os.pipe()
        self._file = os.fdopen(reading, "rb")
        threading.Thread(target=self._work, args=(source, form, window, writing), name="OttoLibrary export", daemon=True).start()
        self._first = self._read()

    async def blocks(self) -> AsyncGenerator[bytes, None]:
        """Yield all of it; an export that fails on the way ends with an error, so that it is never taken for complete."""
        from starlette.concurrency import run_in_threadpool

        with self._file:
            block = self._first
            while block:
                yield block
                block = await run_in_threadpool(self._read)

    def _read(self) -> bytes:
        block = self._file.read1(_BLOCK_BYTES)
        if not block and self._failure is not None:
            self._file.close()
            raise self._failure
        return block

    def _work(self, source: Source, form: str, window: Window, writing: int) -> None:
        try:
            with open(writing, "w", encoding="utf-8", errors="backslashreplace", newline="") as out:
                try:
                    source.export(form, window, out)
                except Exception as error:  # noqa: BLE001 - raised where it is read
                    self._failure = error
        except BrokenPipeError:
            # The client has disconnected.
            return
        finally:
            self._on_end()


def _report(failure: Failure) -> None:
    # The run goes on; nobody but the log of the process can be told.
    asyncio.get_running_loop().call_exception_handler({"message": f"The dashboard failed: {failure}", "exception": failure.error})


def _message(kind: str, data: Any) -> bytes:
    # JSON without line breaks is one line of an event.
    return f"event: {kind}\ndata: {json.dumps(data, separators=(',', ':'))}\n\n".encode()


def _json(data: Any, status: int = 200) -> Response:
    from starlette.responses import Response

    return Response(json.dumps(data, separators=(",", ":")), status, media_type="application/json")


async def _body(request: Request) -> dict[str, Any]:
    from starlette.exceptions import HTTPException

    # A page of another site can send other types without asking the browser's permission first.
    if request.headers.get("content-type", "").partition(";")[0].strip() != "application/json":
        raise HTTPException(415, "An event is sent as application/json.")
    data = bytearray()
    try:
        async with asyncio.timeout(_BODY_S):
            async for part in request.stream():
                data += part
                if len(data) > _MOST_BODY_BYTES:
                    raise HTTPException(413, "This is too long for an event.")
    except TimeoutError as error:
        raise HTTPException(408, "The event did not arrive in time.", {"connection": "close"}) from error
    try:
        facts = json.loads(data)
    except ValueError as error:
        raise ValueFormatError(f"An event is a JSON object: {error}.") from error
    if not isinstance(facts, dict):
        raise ValueFormatError("An event is a JSON object.")
    return facts


def _moment(given: str | None, default: float) -> float:
    if not given:
        return default
    try:
        moment = float(given)
    except ValueError:
        moment = math.nan
    if math.isnan(moment):
        raise ValueFormatError(f"{given!r} is not a time. Write seconds since 1970.")
    return moment


def _is_literal(name: str) -> bool:
    try:
        ipaddress.ip_address(name)
    except ValueError:
        return False
    return True


def _with_headers(send: Send) -> Send:
    """Return a sender that adds the headers that every answer has."""

    async def sent(message: Message) -> None:
        if message["type"] == "http.response.start":
            present = list(message.get("headers", []))
            names = {name for name, _ in present}
            message["headers"] = present + [(name, value) for name, value in _HEADERS if name not in names]
        await send(message)

    return sent


_HEADERS = (
    (b"cache-control", b"no-store"),
    (b"x-content-type-options", b"nosniff"),
    (b"referrer-policy", b"no-referrer"),
    (b"cross-origin-resource-policy", b"same-origin"),
    (b"content-security-policy", b"default-src 'none'; frame-ancestors 'none'"),
)


async def _refused(request: Request, error: Exception) -> Response:
    """Answer with the reason in one sentence."""
    from starlette.responses import PlainTextResponse

    statuses = {UnknownNameError: 404, ValueFormatError: 400, NotOpenError: 410}
    return PlainTextResponse(str(error), next((status for kind, status in statuses.items() if isinstance(error, kind)), 409))


async def _not_found(request: Request, error: Any) -> Response:
    from starlette.responses import PlainTextResponse

    said = "There is no such page here." if error.status_code == 404 else error.detail
    return PlainTextResponse(said, error.status_code, headers=error.headers)


async def _broken(request: Request, error: Exception) -> Response:
    from starlette.responses import PlainTextResponse

    return PlainTextResponse(f"The dashboard could not answer: {type(error).__name__}: {error}", 500)
