"""The two files of a testbed: ``environment.json`` says what is needed, ``inventory.json`` where it is. Read, not merged."""

from __future__ import annotations

import threading
import urllib.error
import urllib.parse
import urllib.request
from base64 import b64encode
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from OttoLibrary.lab.plain_file import is_file, read_plain_file
from OttoLibrary.masking import process_masker
from OttoLibrary.schema import plain_data
from OttoLibrary.schema.source_position import SourcePosition, expanded
from OttoLibrary.text import some

_LARGEST_BYTES = 16 << 20
_ANSWER_S = 30.0
_CHUNK = 1 << 16
_SCHEMES = ("http", "https")
_OK = 200


@dataclass(frozen=True)
class ReadFile:
    """One of the two files.

    Attributes:
        content: What it holds; None when it cannot be read.
        position: The top of it; collects mistakes.
    """

    content: Any
    position: SourcePosition


def read_file(place: str, folders: Sequence[Path], problems: list[str]) -> ReadFile:
    """Return the content of a file or URL; mistakes are noted.

    Args:
        place: A path, absolute or in one of the folders, or an http or https URL.
        folders: Where relative paths are looked for, in this order.
        problems: Takes the mistakes.
    """
    if urllib.parse.urlsplit(place).scheme in _SCHEMES:
        return _from_url(place, problems)
    file = found_file(place, folders)
    if file is None:
        position = SourcePosition(place, Path.cwd(), problems)
        position.wrong(f"there is no such file; searched in {some(folders)}")
        return ReadFile(None, position)
    position = SourcePosition.in_file(file, problems)
    try:
        text = read_plain_file(file, _LARGEST_BYTES)
    except OSError as error:
        position.wrong(f"cannot be read: {error.strerror}")
        return ReadFile(None, position)
    return ReadFile(_parsed(text, position), position)


def found_file(place: str, folders: Sequence[Path]) -> Path | None:
    """Return the file that a path means, or None when there is none, as for a URL."""
    return next((file for file in (folder / expanded(place) for folder in folders) if is_file(file)), None)


def _parsed(text: bytes, position: SourcePosition) -> Any:
    """Return what JSON text holds, keys that begin with ``_`` too: devices may have such."""
    return plain_data.parse(text, position, comments=False)


# -- over http


def _from_url(place: str, problems: list[str]) -> ReadFile:
    parts = urllib.parse.urlsplit(place)
    login = "" if parts.username is None else f"{parts.username}:{parts.password or ''}"
    tokens = [value for _, value in urllib.parse.parse_qsl(parts.query)]
    process_masker().add(*filter(None, (parts.password, login if parts.password else "", *tokens)))
    bare = parts._replace(netloc=parts.netloc.rpartition("@")[2], fragment="")
    position = SourcePosition(bare._replace(query="").geturl(), Path.cwd(), problems)
    answer = _Answer(bare.geturl(), urllib.parse.unquote(login))
    # A server can hand out headers byte by byte, each in time: only a thread that is left alone bounds the whole.
    thread = threading.Thread(target=answer.fetch, name="OttoLibrary environment", daemon=True)
    thread.start()
    thread.join(_ANSWER_S)
    if answer.text is None:
        position.wrong(answer.failure or f"did not answer in {_ANSWER_S:g} seconds")
        return ReadFile(None, position)
    return ReadFile(_parsed(answer.text, position), position)


class _Answer:
    """What a URL gives, fetched once."""

    def __init__(self, url: str, login: str) -> None:
        self.text: bytes | None = None
        self.failure = ""
        self._url, self._login = url, login

    def fetch(self) -> None:
        """Set ``text`` or ``failure``."""
        try:
            self.text = self._read()
        except urllib.error.HTTPError as error:
            self.failure = f"the server answered {error.code} {error.reason}"
        except urllib.error.URLError as error:
            self.failure = f"cannot be fetched: {error.reason}"
        except (OSError, ValueError) as error:
            self.failure = f"cannot be fetched: {error}"
        except Exception as error:  # noqa: BLE001 - the caller waits for one of the two
            self.failure = f"cannot be fetched: {type(error).__name__}: {error}"

    def _read(self) -> bytes:
        request = urllib.request.Request(self._url, headers={"Accept": "application/json"})  # noqa: S310 - http or https
        if self._login:
            # Not for the server that a redirect names.
            request.add_unredirected_header("Authorization", f"Basic {b64encode(self._login.encode()).decode()}")
        content = bytearray()
        with urllib.request.build_opener(_HttpOnly).open(request, timeout=_ANSWER_S) as response:
            if response.status != _OK:
                raise ValueError(f"the server answered {response.status}")
            while chunk := response.read1(_CHUNK):
                content += chunk
                if len(content) > _LARGEST_BYTES:
                    raise ValueError(f"it has more than {_LARGEST_BYTES >> 20} MiB")
        return bytes(content)


class _HttpOnly(urllib.request.HTTPRedirectHandler):
    def redirect_request(self, req: Any, fp: Any, code: int, msg: str, headers: Any, newurl: str) -> Any:
        if urllib.parse.urlsplit(newurl).scheme not in _SCHEMES:
            raise ValueError("the server redirects to something other than http")
        return super().redirect_request(req, fp, code, msg, headers, newurl)
