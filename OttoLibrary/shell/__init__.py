"""Conversation over bytes: commands with their output and exit status, and text that is sent and expected.

Face: ``CommandShell`` (one process beside others), ``LineShell`` (a command on a terminal line), ``PromptShell`` (a
line without a POSIX shell), ``Console`` (send and expect). ``launch`` has the scripts that start commands on a host,
``end_mark`` decides that the end of a command has arrived, ``recovery`` ends one that was given up.
It never opens a connection and never knows which transport carries its bytes.

Who owns which bytes, and when. Each arrow takes bytes away from where they were::

    Channel, of transport/              holds what arrived, and stops the sender while too much waits
       |  one task reads it
    PendingOutput                       what nobody has taken yet; a Notifier wakes all who look at it
       |
       +--> CommandShell                two of them, stdout and stderr, from one command to the next
       +--> Console                     of a terminal: keeps text until ``expect`` or ``read`` takes it
       +--> Line                        of a Telnet or serial host; one at a time has it:
              +--> LineShell            from the first byte of a command to its end mark
              +--> PromptShell          from the first byte of a command to the next prompt
              +--> LineProcess          from its start until it is closed
              +--> Console              all that comes in between, prompts and news of the host
"""
