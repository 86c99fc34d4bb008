"""One run of Robot: its session, its listeners and modifiers, and what a test leaves behind.

Face: ``Session`` (what a run knows), and the public ``Metrics``, ``Evidence``, ``EachHost`` and ``Repeat``. This is
the lowest folder that knows Robot Framework.
It never talks to a host except through ``host``, ``transfer`` and ``monitor``.
"""
