"""Checked data: what a file may say, and where in it a mistake is.

Face: ``ObjectOf`` with a ``Field`` for each key, whose types stand in ``field_types`` and ``scalar_types``;
``SourcePosition``, which says where something stands in a file and collects the mistakes; ``plain_data``, which parses JSON
and checks foreign data. Lab files, settings, environments, scenarios and load plans are checked with it::

    position = SourcePosition.in_file(file)
    values = ObjectOf({"every": Field(DURATION, "How often.")}).read(plain_data.parse(content, position), position)
    if position.problems: ...

It never opens a file, and it never stops at the first mistake.
"""
