"""Telnet: every line is a connection and a login of its own.

Protocol: RFC 854 (commands), 855 (options), 856 (binary), 857 (echo), 858 (no go-ahead), 1073 (window), 1091 (terminal type).
"""

from __future__ import annotations

import struct
from collections.abc import Callable

from OttoLibrary.contracts.connections import Channel, Connection, Duplex, EndOfStream, Terminal
from OttoLibrary.contracts.facts import HostFacts
from OttoLibrary.deadline import Deadline
from OttoLibrary.errors import ConnectError, LoginError, reason_here
from OttoLibrary.text import plain_text
from OttoLibrary.transport import tcp
from OttoLibrary.transport.lines_only import LinesOnly
from OttoLibrary.transport.login import LoginRefusedError, Prompts, log_in

_PORT = 23
_LINES = 16
_CHUNK = 1 << 18
_TAIL = 200
_LONGEST_OPTION = 1 << 16

_IAC, _DONT, _DO, _WONT, _WILL, _SB, _SE = 255, 254, 253, 252, 251, 250, 240
_BINARY, _ECHO, _NO_GO_AHEAD, _TERMINAL_TYPE, _WINDOW_SIZE = 0, 1, 3, 24, 31
_IS, _SEND = 0, 1
_NOTHING = b"\xff\xf1"
_SEGMENT = 1400
# What we do when asked, and what the other side may do.
_OURS = {_BINARY, _NO_GO_AHEAD, _TERMINAL_TYPE, _WINDOW_SIZE}
_THEIRS = {_BINARY, _ECHO, _NO_GO_AHEAD}


class Telnet:
    """The transport ``telnet``."""

    async def connect(self, facts: HostFacts, path: tuple[str, ...], hop: Connection | None, deadline: Deadline) -> Connection:
        """Open the first line and log in on it."""
        connection = TelnetConnection(facts, path, hop)
        await connection.log_in(deadline)
        return connection


class TelnetConnection(LinesOnly):
    """The way to a Telnet server, and the lines that are open."""

    kind = "a Telnet host"
    line_limit = _LINES
    logs_in = True

    def __init__(self, facts: HostFacts, path: tuple[str, ...], hop: Connection | None) -> None:
        self._facts, self._path, self._hop = facts, path, hop
        self._lines: set[TelnetLine] = set()
        self._spare: TelnetLine | None = None

    @property
    def lost(self) -> str | None:
        """Why a line ended that nobody here closed, or None."""
        return next((line.ended for line in self._lines if line.ended is not None), None)

    async def log_in(self, deadline: Deadline) -> None:
        """Open a line for the next who wants one."""
        self._spare = await self._new_line(deadline)

    async def open_line(self) -> Channel:
        """Return a line that waits for a command; what it wrote since the login is read first."""
        line, self._spare = self._spare, None
        if line is None or line.ended is not None:
            line = await self._new_line(Deadline(self._facts.connect_timeout))
        return line

    async def close(self) -> None:
        """Hang up all lines."""
        for line in list(self._lines):
            await line.close()

    def describe(self) -> str:
        """Return ``telnet user@address:port``."""
        user = f"{self._facts.user}@" if self._facts.user else ""
        return f"telnet {user}{self._where}"

    @property
    def _where(self) -> str:
        return f"{self._facts.address}:{self._facts.port or _PORT}"

    async def _new_line(self, deadline: Deadline) -> TelnetLine:
        facts = self._facts
        line: TelnetLine | None = None
        try:
            async with deadline.timeout():
                line = await self._dial()
                self._lines.add(line)
                prompts = Prompts(facts.console)
                said = await log_in(lambda: _read(line), line.write, prompts, facts.user, facts.password)
            line.give_back(said)
            return line
        except BaseException as error:
            said_last = line.tail if line is not None else ""
            if line is not None:
                await line.close()
            if isinstance(error, TimeoutError | OSError | EndOfStream | LoginRefusedError):
                raise self._translate(error, said_last, deadline) from error
            raise

    async def _dial(self) -> TelnetLine:
        address, port = self._facts.address, self._facts.port or _PORT
        if self._hop is None:
            way: Duplex = await tcp.dial(address, port, self._facts.keepalive)
        else:
            way = await self._hop.dial(address, port)
        line = TelnetLine(way, Terminal(), self._lines.discard, nudges=self._hop is not None)
        await line.begin()
        return line

    def _translate(self, error: BaseException, said: str, deadline: Deadline) -> ConnectError:
        name, path, where = self._facts.name, self._path, self._where
        last = f" (last output: {said!r})" if said else ""
        match error:
            case LoginRefusedError():
                return LoginError(name, path, f"user '{self._facts.user or ''}': {error}")
            case EndOfStream():
                return ConnectError(name, path, f"{where} closed the connection during the login{last}")
            case TimeoutError():
                what = f"no prompt from {where}" if said else f"no answer from {where}"
                return ConnectError(name, path, f"{what} in {deadline.seconds:g} seconds{last}")
            case ConnectionRefusedError():
                return ConnectError(
                    name, path, f"{where} refused the connection", "Is its Telnet server running, and the port right?"
                )
            case OSError() if reason := reason_here(error):
                return ConnectError(name, path, f"{where}: {reason}")
            case _ if self._hop is not None:
                return ConnectError(name, path, f"hop '{path[-2]}' could not connect to {error}")
            case _:
                return ConnectError(name, path, f"{where}: {getattr(error, 'strerror', None) or error}")


class TelnetLine:
    """The channel of one line: the bytes of its user, without those of the protocol.

    Args:
        way: The byte stream to the server.
        terminal: What is reported about our terminal.
        on_close: Called with the line when it is closed.
        nudges: Answer each small piece with a command that means nothing. A server with Nagle's algorithm on holds back the next
            piece until this one is acknowledged, and the kernel of a hop does that immediately only together with data.
    """

    def __init__(self, way: Channel, terminal: Terminal, on_close: Callable[[TelnetLine], None], *, nudges: bool = False) -> None:
        self._nudges = nudges
        self.ended: str | None = None
        self._way, self._codec, self._on_close = way, Codec(terminal), on_close
        self._begun = b""
        self._said = b""

    @property
    def closed(self) -> bool:
        """True after the end."""
        return self.ended is not None or self._way.closed

    @property
    def tail(self) -> str:
        """The last line that it wrote."""
        lines = plain_text(self._said.decode("utf-8", "replace")).split("\n")
        return next((line.strip() for line in reversed(lines) if line.strip()), "")

    async def begin(self) -> None:
        """Send the opening offers."""
        await self._way.write(self._codec.opening())

    def give_back(self, data: bytes) -> None:
        """Let ``data`` be read once more, first of all."""
        self._begun = data

    async def read(self, limit: int) -> bytes:
        """Return what came."""
        if self._begun:
            data, self._begun = self._begun[:limit], self._begun[limit:]
            return data
        while True:
            try:
                came = await self._way.read(limit)
                data = self._codec.receive(came)
                replies = self._codec.take_replies()
                if self._nudges and self._codec.understood and len(came) < _SEGMENT:
                    replies = replies or _NOTHING
                if replies:
                    await self._way.write(replies)
            except EndOfStream as end:
                self.ended = end.lost or "the host closed it"
                raise EndOfStream(self.ended) from end
            if data:
                self._said = (self._said + data[-_TAIL:])[-_TAIL:]
                return data

    async def write(self, data: bytes) -> None:
        """Send ``data``."""
        await self._way.write(self._codec.encode(data))

    async def resize(self, columns: int, rows: int) -> None:
        """Report the size of the window."""
        await self._way.write(self._codec.resize(columns, rows))

    async def close(self) -> None:
        """Hang up."""
        self._on_close(self)
        await self._way.close()

    def describe(self) -> str:
        """Return ``telnet line``."""
        return "telnet line"


class Codec:
    """Takes the protocol out of what comes, puts it into what goes, and answers offers; it does no input or output.

    Each side starts without options. An offer that changes nothing is not answered: otherwise the two could answer each other
    for ever.

    Attributes:
        understood: True once the other side has shown that it speaks Telnet too.
    """

    def __init__(self, terminal: Terminal) -> None:
        self.understood = False
        self._terminal = terminal
        self._ours: set[int] = set()
        self._theirs: set[int] = set()
        self._asked_us: set[int] = set()
        self._asked_them: set[int] = set()
        self._rest = b""
        self._replies = bytearray()
        self._after_return = False
        # Until BINARY is agreed, a server writes a carriage return as CR NUL, unless it does not know that rule.
        self._stuffs = True

    def opening(self) -> bytes:
        """Return what a client sends first."""
        self._asked_us = {_BINARY, _WINDOW_SIZE, _TERMINAL_TYPE}
        self._asked_them = {_BINARY, _NO_GO_AHEAD}
        offers = [(_WILL, option) for option in sorted(self._asked_us)] + [(_DO, option) for option in sorted(self._asked_them)]
        return b"".join(bytes((_IAC, verb, option)) for verb, option in offers)

    def take_replies(self) -> bytes:
        """Return and forget what must be sent."""
        replies, self._replies = bytes(self._replies), bytearray()
        return replies

    def encode(self, data: bytes) -> bytes:
        """Return ``data`` as it goes over the wire."""
        data = data.replace(b"\xff", b"\xff\xff")
        return data if _BINARY in self._ours else data.replace(b"\r", b"\r\0")

    def resize(self, columns: int, rows: int) -> bytes:
        """Return the report of the window's size; nothing when the server did not ask for it."""
        self._terminal = Terminal(self._terminal.kind, columns, rows)
        return self._window() if _WINDOW_SIZE in self._ours else b""

    def receive(self, data: bytes) -> bytes:
        """Return the user's bytes in ``data``."""
        data, self._rest = self._rest + data, b""
        if b"\xff" not in data:
            return self._text(data)
        parts, at = [], 0
        while (found := data.find(b"\xff", at)) >= 0:
            parts.append(self._text(data[at:found]))
            length = self._command(data, found)
            if not length:
                self._rest = data[found:]
                if len(self._rest) > _LONGEST_OPTION:
                    raise EndOfStream("it sent a Telnet option without an end")
                return b"".join(parts)
            if length == 2 and data[found + 1] == _IAC:
                parts.append(b"\xff")
            at = found + length
        parts.append(self._text(data[at:]))
        return b"".join(parts)

    def _text(self, data: bytes) -> bytes:
        if not data or _BINARY in self._theirs or not self._stuffs:
            return data
        if self._after_return and data[:1] == b"\0":
            data = data[1:]
        self._after_return = data.endswith(b"\r")
        returns = data.count(b"\r") - data.endswith(b"\r")
        if returns and returns != data.count(b"\r\0") + data.count(b"\r\n"):
            self._stuffs = False
            return data
        return data.replace(b"\r\0", b"\r")

    def _command(self, data: bytes, at: int) -> int:
        """Follow the command that begins at ``at``; return how long it is, 0 when its end is not here yet."""
        if len(data) < at + 2:
            return 0
        verb = data[at + 1]
        if verb < _SE:
            # A hop lost the second half of an urgent mark: what follows is text.
            return 1
        if verb == _SB:
            end = data.find(b"\xff\xf0", at + 2)
            if end < 0:
                return 0
            self._told(data[at + 2 : end].replace(b"\xff\xff", b"\xff"))
            return end + 2 - at
        if verb < _WILL or verb == _IAC:
            return 2
        if len(data) < at + 3:
            return 0
        self._negotiate(verb, data[at + 2])
        return 3

    def _negotiate(self, verb: int, option: int) -> None:
        self.understood = True
        ours = verb in {_DO, _DONT}
        on = verb in {_DO, _WILL}
        state, asked, willing = (self._ours, self._asked_us, _OURS) if ours else (self._theirs, self._asked_them, _THEIRS)
        yes, no = (_WILL, _WONT) if ours else (_DO, _DONT)
        was_asked = option in asked
        asked.discard(option)
        if on and option in willing:
            if option not in state:
                state.add(option)
                if not was_asked:
                    self._reply(yes, option)
                if ours and option == _WINDOW_SIZE:
                    self._replies += self._window()
        elif on or option in state:
            state.discard(option)
            self._reply(no, option)

    def _reply(self, verb: int, option: int) -> None:
        self._replies += bytes((_IAC, verb, option))

    def _told(self, data: bytes) -> None:
        if data[:2] == bytes((_TERMINAL_TYPE, _SEND)):
            kind = self._terminal.kind.encode()
            self._replies += bytes((_IAC, _SB, _TERMINAL_TYPE, _IS)) + kind + bytes((_IAC, _SE))

    def _window(self) -> bytes:
        size = struct.pack("!HH", self._terminal.columns, self._terminal.rows).replace(b"\xff", b"\xff\xff")
        return bytes((_IAC, _SB, _WINDOW_SIZE)) + size + bytes((_IAC, _SE))


async def _read(line: TelnetLine) -> bytes:
    return await line.read(_CHUNK)
