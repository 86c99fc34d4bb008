"""``python -m OttoLibrary``."""

import sys

from OttoLibrary.cli import main

sys.exit(main())
