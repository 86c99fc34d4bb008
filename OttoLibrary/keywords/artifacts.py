"""The keyword for what a test leaves beside the log."""

from __future__ import annotations

from robot.api.deco import keyword

from OttoLibrary.keywords.component import Component
from OttoLibrary.run.artifacts import artifact_folder, artifact_link


class ArtifactKeywords(Component):
    """Where a test may put files."""

    @keyword(tags=["Artifact"])
    def get_artifact_directory(self) -> str:
        """Returns a folder of this test alone, for files to keep with the log.

        Returns:
            Its absolute path, the same for the whole test. Outside of a test it is that of the suite.

        It is made when it is first asked for, in `otto` below `${OUTPUT DIR}`, with the name of the test in its own, and linked
        in the log.

        ```robotframework
        ${folder}=    Get Artifact Directory
        Write Host File    dut1    state.txt    ready
        Get File From Host    dut1    state.txt    ${folder}/
        ```
        """
        folder = artifact_folder()
        self.log_html(artifact_link(folder, folder.name))
        return str(folder)
