"""The library that Robot Framework imports."""

from __future__ import annotations

import sys
from collections.abc import Sequence
from typing import Any

from robot.api import logger
from robot.api.deco import library
from robot.libraries.BuiltIn import BuiltIn
from robotlibcore import DynamicCore

from OttoLibrary.errors import OttoError
from OttoLibrary.keywords.argument_types import CONVERTERS, check_arguments, checked_types
from OttoLibrary.keywords.artifacts import ArtifactKeywords
from OttoLibrary.keywords.checks import CheckKeywords
from OttoLibrary.keywords.commands import CommandKeywords
from OttoLibrary.keywords.console import ConsoleKeywords
from OttoLibrary.keywords.disturbances import DisturbanceKeywords
from OttoLibrary.keywords.files import FileKeywords
from OttoLibrary.keywords.hosts import HostKeywords
from OttoLibrary.keywords.instructions import add_instructions
from OttoLibrary.keywords.lab import LabKeywords
from OttoLibrary.keywords.load import LoadKeywords
from OttoLibrary.keywords.monitor import MonitorKeywords
from OttoLibrary.keywords.options import OptionsKeywords
from OttoLibrary.keywords.reservations import ReservationKeywords
from OttoLibrary.keywords.scenarios import ScenarioKeywords
from OttoLibrary.keywords.testbed import TestbedKeywords
from OttoLibrary.keywords.tunnels import TunnelKeywords
from OttoLibrary.lab.settings import import_init
from OttoLibrary.masking import mask
from OttoLibrary.run.artifacts import output_file_folder
from OttoLibrary.run.listener import LibraryListener
from OttoLibrary.run.progress import ConsoleProgress
from OttoLibrary.run.robot_errors import without_traceback
from OttoLibrary.run.run_context import OutputBounds, RunContext, check_shell_scope
from OttoLibrary.run.session import Session
from OttoLibrary.run.variables import suite_folder, variable
from OttoLibrary.run.verdict import in_teardown
from OttoLibrary.text import printable
from OttoLibrary.transfer.transfer import locale_advice, system_message
from OttoLibrary.version import VERSION


@library(scope="GLOBAL", version=VERSION, doc_format="MARKDOWN", converters=CONVERTERS)
class OttoLibrary(DynamicCore):  # type: ignore[misc]  # PythonLibCore has no type hints
    r"""OttoLibrary drives lab hosts: it runs commands, talks to consoles and fans out over many.

    Hosts are reached over SSH, Telnet and serial lines, or are this machine.

    A *lab* is a JSON file of *hosts*. Every keyword names the host it acts on; there is no hidden current host. A host connects
    on first use, through its *hops*, and reconnects after a lost connection.

    ```robotframework
    *** Settings ***
    Library     OttoLibrary    lab=demo

    *** Test Cases ***
    Firmware Answers Behind A Hop
        ${result}=    Run On Host    dut1    ./fw --version
        Should Contain    ${result.stdout}    2.1
    ```

    ## Two ways to talk to a host

    `Run On Host` uses the *command shell*: it has no terminal, keeps its directory, environment and functions from call to call,
    keeps stdout and stderr apart, and returns the exit status. `Send To Host` and `Expect From Host` use the *console*: a
    terminal, as a person sees it, which opens with the directory and environment of the command shell. Both end with the suite
    that opened them, or as `shell_scope` says; those that the setup of a parent suite opened serve its child suites.

    ## Results

    A command returns a result with the attributes `rc`, `stdout`, `stderr`, `signal`, `duration_s`, `host` and `command`. Bytes
    that are not UTF-8 show as `\xNN`.

    ## Time

    Time-outs take Robot's time format (`10 s`, `1 min 30 s`). One covers all of a call, connecting included. A command that
    exceeds it is ended on the host with everything it started, and the shell stays usable.

    ## Secrets

    Passwords of the lab and Robot's `Secret` values are shown as `<secret>` wherever they would appear.
    """

    def __init__(
        self,
        lab: str = "",
        reservations: str = "",
        shell_scope: str = "suite",
        output_limit: str = "",
        output_file_limit: str = "",
    ) -> None:
        """Name the lab; nothing of it is read or opened before the first keyword needs it.

        Args:
            lab: A name (`labs/NAME.json` beside the suite or above, in the current folder or in `OTTO_LABS`), a path,
                `SOURCE:NAME` such as `ssh_config:~/.ssh/config`, or several joined by commas. `demo` is built in. The environment
                variable `OTTO_LAB` counts when nothing is given, then the settings.
            reservations: Who decides about reservations: `file`, `redis`, `json`, `pabot`, `none` or one of a plug-in. The
                environment variable `OTTO_RESERVATION_BACKEND` counts when nothing is given, then the settings.
            shell_scope: How long a shell or console and its state last: as long as the `suite` that opened it (those that the
                setup of a parent suite opened serve its child suites), as the `test`, or as the whole `run`.
            output_limit: How much of each stream of a command is kept in memory, from `1 MiB` to `1 GiB`: of a longer one the
                first and the last half of it. The settings count when nothing is given, then `8 MiB`.
            output_file_limit: How much of such a longer stream is kept in a file among the artifacts of the test, secrets
                hidden; `0` for no file. The settings count when nothing is given, then `256 MiB`.
        """
        with without_traceback():
            check_shell_scope(shell_scope)
            output = OutputBounds.parsed(output_limit, output_file_limit)
        context = RunContext(
            variable=variable,
            may_interrupt=lambda: not in_teardown(),
            tell=lambda sentence: logger.console(printable(mask(sentence))),
            progress=ConsoleProgress(),
            suite_folder=suite_folder(),
            shell_scope=shell_scope,
            output=output,
            artifacts=output_file_folder,
        )
        session = self.session = Session(lab, reservations, context)
        with without_traceback():
            import_init(session.suite.settings)
        self.ROBOT_LIBRARY_LISTENER = LibraryListener(session, self._take_instructions)
        groups = (
            ArtifactKeywords,
            CheckKeywords,
            LabKeywords,
            HostKeywords,
            CommandKeywords,
            ConsoleKeywords,
            DisturbanceKeywords,
            FileKeywords,
            LoadKeywords,
            MonitorKeywords,
            OptionsKeywords,
            ReservationKeywords,
            ScenarioKeywords,
            TestbedKeywords,
            TunnelKeywords,
        )
        super().__init__([group(session) for group in groups])
        add_instructions(self, session)

    def add_library_components(self, library_components: list[Any], *translation: Any) -> None:
        """Add groups of keywords; PythonLibCore adds the library itself, too, and would describe each keyword a second time."""
        super().add_library_components([group for group in library_components if group is not self], *translation)

    def _take_instructions(self) -> None:
        """Take the instructions of a suite's settings: suites of several repositories that import the library alike share it."""
        import_init(self.session.suite.settings)
        if add_instructions(self, self.session):
            BuiltIn().reload_library(self)

    def get_keyword_types(self, name: str) -> dict[str, Any]:
        """Return the types of a keyword's arguments; those of instructions are their own."""
        types: dict[str, Any] = super().get_keyword_types(name)
        return checked_types(types) if self._is_own(name) else types

    def run_keyword(self, name: str, args: Sequence[Any], kwargs: dict[str, Any] | None = None) -> Any:
        """Run a keyword, unless an argument is wrong; what the system of this machine refuses is a sentence."""
        if not self._is_own(name):
            return super().run_keyword(name, args, kwargs)
        check_arguments(self.keywords[name], args, kwargs or {})
        try:
            return super().run_keyword(name, args, kwargs)
        except OSError as error:
            if isinstance(error, OttoError):
                raise
            raise OttoError(f"This machine refused: {system_message(error)}.") from error
        except UnicodeEncodeError as error:
            if error.encoding != sys.getfilesystemencoding():
                raise
            raise OttoError(f"This machine cannot name a file '{error.object}'{locale_advice()}.") from error

    def _is_own(self, name: str) -> bool:
        return str(getattr(self.keywords.get(name), "__module__", "")).startswith("OttoLibrary.keywords.")

    def get_keyword_source(self, name: str) -> str | None:
        """Return where a keyword is written, for Robot Framework; an instruction is in its init module."""
        source: str | None = getattr(self.keywords.get(name), "robot_source", None) or super().get_keyword_source(name)
        return source
