"""``python -m aisdatapipes``: the same as the ``aisdatapipes`` command."""

import sys

from aisdatapipes.cli import main

sys.exit(main())
