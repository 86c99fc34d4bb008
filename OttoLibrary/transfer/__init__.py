"""Files and folders to, from and between hosts, whole and verified or not at all.

Face: ``Files`` and ``Folders`` of a host. ``transfer`` begins a call, chooses the protocol and retries;
``protocols/`` move the bytes; ``host_file_agent`` with its ``agent_scripts`` is works for us on the host.
It never leaves half a file under its final name.
"""
