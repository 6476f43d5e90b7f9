"""``flowdeblur schema``: JSON schema of the configuration."""

from __future__ import annotations

import json
from collections.abc import Sequence

from flowdeblur.cli.arguments import command_parser

_EPILOG = """\
examples:
  flowdeblur schema > flowdeblur.schema.json
  flowdeblur schema evaluate
Editors with YAML support use it where the first line of a file is
  # yaml-language-server: $schema=flowdeblur.schema.json"""


def main(argv: Sequence[str]) -> int:
    """Print the schema."""
    parser = command_parser(
        "schema",
        "Print a JSON schema of the configuration, for editors: keys, types, defaults.",
        _EPILOG,
    )
    names = ("train", "evaluate", "lesion")
    parser.add_argument("name", nargs="?", choices=names, default="train", help="default: train")
    name = parser.parse_args(argv).name
    from flowdeblur.engine.schema import configuration_schema

    print(json.dumps(configuration_schema(name), indent=1))
    return 0
