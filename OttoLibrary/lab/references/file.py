"""``${file:PATH}``: the content of a file."""

from __future__ import annotations

from pathlib import Path


class File:
    """Text files of this machine."""

    def resolve(self, argument: str) -> str:
        """Return the content of the file without its last newline; ``~`` is the home folder."""
        try:
            text = Path(argument).expanduser().read_text("utf-8")
        except (UnicodeDecodeError, UnicodeEncodeError):
            raise LookupError(f"file '{argument}' is not UTF-8 text") from None
        except (OSError, ValueError, RuntimeError) as error:
            raise LookupError(f"file '{argument}' cannot be read ({getattr(error, 'strerror', None) or error})") from error
        return text.removesuffix("\n")

    def close(self) -> None:
        """Nothing is open."""
