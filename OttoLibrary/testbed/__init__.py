"""Testbeds: the devices of an environment, brought up before the first test and given back on every path.

Face: ``Device`` (``device``), the class that a driver subclasses; ``BenchPlan`` (``bench_plan``), what an environment says
about the life of its devices, checked; ``Deployment`` (``deployment``), which makes the devices, brings them up phase by
phase and shuts them down; ``HostConsole`` (``pexpect_console``), a host's console as pexpect has it; and the adapters in
``devices/`` (what a device can be) and ``power/`` (how one is switched).
It never reserves anything, reads no file, and knows nothing of Robot Framework.
"""
