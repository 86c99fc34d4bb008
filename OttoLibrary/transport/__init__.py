"""Bytes to and from a host: one file for each way to reach one.

Face: the classes that ``registry`` names (``ssh``, ``telnet``, ``serial``, ``local``), which keep the contracts of
``contracts.connections``. ``tcp`` opens sockets, ``receive_buffer`` holds bytes that nobody has read, ``login``
answers the questions of a login, ``lines_only`` refuses what a host with lines alone cannot do.
Bytes stay bytes here: it never knows commands, prompts of a shell, or exit statuses.
"""
