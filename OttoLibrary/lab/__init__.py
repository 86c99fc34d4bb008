"""Labs in, frozen facts out: where hosts stand, and the settings of the repository under test.

Face: ``Lab`` and ``open_lab`` (``lab``), ``Settings`` (``settings``), ``fields`` (what a host may say in a lab file),
and the adapters in ``sources/`` (where labs come from) and ``references/`` (what ``${...}`` in them means).
It never connects to a host of a lab.
"""
