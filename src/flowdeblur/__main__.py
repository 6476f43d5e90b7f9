"""``python -m flowdeblur``, the same as the command ``flowdeblur``."""

import sys

from flowdeblur.cli import main

if __name__ == "__main__":
    sys.exit(main())
