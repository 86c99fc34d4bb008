"""``python -m OttoLibrary``."""

import sys

from OttoLibrary.cli.main import main

sys.exit(main())
