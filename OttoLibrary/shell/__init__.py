"""Conversation over bytes: commands with their output and exit status, and text that is sent and expected.

Face: ``CommandShell`` (one process beside others), ``LineShell`` (a command on a terminal line), ``PromptShell`` (a
line without a POSIX shell), ``Console`` (send and expect). ``launch`` has the scripts that start commands on a host.
It never opens a connection and never knows which transport carries its bytes.
"""
