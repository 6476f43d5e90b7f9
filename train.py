"""Train a network: ``python train.py model=bidirectional``.

``python train.py --help`` lists what can be set.
"""

import sys

from flowdeblur.cli import main

if __name__ == "__main__":
    sys.exit(main(["train", *sys.argv[1:]]))
