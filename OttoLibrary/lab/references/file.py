"""``${file:PATH}``: the content of a file."""

from __future__ import annotations

from pathlib import Path

from OttoLibrary.lab.plain_file import read_plain_file

_LARGEST_BYTES = 1 << 20


class File:
    """Text files of this machine, of at most 1 MiB."""

    def resolve(self, argument: str) -> str:
        """Return the content of the file without its last newline; ``~`` is the home folder."""
        try:
            text = read_plain_file(Path(argument).expanduser(), _LARGEST_BYTES).decode("utf-8")
        except (UnicodeDecodeError, UnicodeEncodeError):
            raise LookupError(f"file '{argument}' is not UTF-8 text") from None
        except (OSError, ValueError, RuntimeError) as error:
            raise LookupError(f"file '{argument}' cannot be read ({getattr(error, 'strerror', None) or error})") from error
        return text.removesuffix("\n")

    def close(self) -> None:
        """Nothing is open."""
