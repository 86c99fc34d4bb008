"""Labs from the files of other tools, one file for each tool: plain data in, a ``Conversion`` with hosts and notes out."""
