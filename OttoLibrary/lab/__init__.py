"""Labs in, frozen facts out: where hosts stand, and the settings of the repository under test.

Face: ``load_lab`` (``loading``), ``Lab`` (``lab``) with its ``HostEntry`` for each host, ``Settings`` (``settings``),
``fields`` (the table of keys that a lab file may have), and the adapters in ``sources/`` (where labs come from) and
``references/`` (what ``${...}`` in them means). ``foreign/`` makes labs from the files of other tools.
It never connects to a host of a lab.
"""
