"""The lab of a run: named at its beginning, loaded on first use, replaced by ``Load Lab``."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from OttoLibrary.errors import UsageError
from OttoLibrary.masking import Masker
from OttoLibrary.run.running_suite import RunningSuite

if TYPE_CHECKING:
    from OttoLibrary.contracts.facts import HostFacts
    from OttoLibrary.lab.lab import Lab


class CurrentLab:
    """The lab, and who its hosts are.

    Args:
        references: The labs to load, joined by commas; when empty, what the settings of the suite name.
        suite: The suite that is running; its settings tell where labs are.
        masker: Learns the secrets of hosts.

    Attributes:
        references: What is loaded, or will be.
        given: What was named at the beginning of the run; nothing when the settings name it.
    """

    def __init__(self, references: str, suite: RunningSuite, masker: Masker) -> None:
        self.references = references
        self._suite, self._masker = suite, masker
        self.given = references
        self._lab: Lab | None = None
        # The settings files that counted when it was loaded; None for one that 'Load Lab' chose, which stays.
        self._loaded_by: tuple[Path, ...] | None = None

    @property
    def loaded(self) -> Lab:
        """The lab; loaded on first use. Raises UsageError when none was named, and LabError."""
        if self._lab is None:
            self.references = self.references or self._suite.settings.lab.get("default", "")
            if not self.references:
                raise UsageError(
                    "No lab is named. Give one with '--variable LAB:NAME' and 'lab=${LAB}', with the environment variable "
                    "OTTO_LAB, with 'default' in the table [lab] of the settings, or with 'Load Lab'."
                )
            self._lab, self._loaded_by = self.read(self.references), self._suite.settings_files
            self._masker.add(*self._lab.secrets_at_hand())
        return self._lab

    def read(self, references: str) -> Lab:
        """Return other labs, without making them the current one; raise LabError."""
        from OttoLibrary.lab.loading import load_lab
        from OttoLibrary.lab.settings import import_init

        # Init modules may bring the source of a lab.
        import_init(self._suite.settings)
        return load_lab(references, self._suite.folder, self._suite.settings)

    def replace(self, references: str, lab: Lab) -> None:
        """Make a lab that was read the current one."""
        self.close()
        self.references, self._lab, self._loaded_by = references, lab, None
        self._masker.add(*lab.secrets_at_hand())

    @property
    def is_of_another_repository(self) -> bool:
        """True when the lab was loaded for a suite with other settings files around it than the one that runs has."""
        return self._lab is not None and self._loaded_by is not None and self._loaded_by != self._suite.settings_files

    def forget(self) -> None:
        """End the present lab; the next use loads the one that the run, or the suite that runs, names."""
        self.close()
        self.references = self.given

    def select(self, *selection: str) -> list[str]:
        """Return the hosts that any of the selections gives; raise UsageError when they give none."""
        names = self.loaded.select(*selection)
        if not names:
            written = " OR ".join(selection)
            meant = self.loaded.meant(written)
            raise UsageError(f"No host of the lab is selected by '{written}'.{meant} 'Get Hosts' shows what a selection gives.")
        return names

    def facts(self, name: str) -> HostFacts:
        """Return the facts of a host; its secrets are masked from now on."""
        facts = self.loaded.facts(name)
        self._masker.add(*self.loaded.secrets(name))
        return facts

    def close(self) -> None:
        """End what the references of the lab started; the next use loads it again."""
        lab, self._lab = self._lab, None
        if lab is not None:
            lab.close()
