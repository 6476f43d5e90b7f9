"""``flowdeblur demo``: a local page to drop clips on."""

from __future__ import annotations

import argparse
import threading
from collections.abc import Sequence

from flowdeblur.cli.arguments import add_network, command_parser

_DESCRIPTION = """\
Serve a page on this machine to drop a short clip or two images on. It compares input and restored
frames in motion, and shows the optical flow and the blur kernels that it implies.

The page can be reached from this machine only (127.0.0.1), loads nothing from elsewhere, and keeps
no file: uploads and results are removed after an hour, and when the demo ends."""

_EPILOG = """\
examples:
  flowdeblur demo --open
  flowdeblur demo --weights runs/ID/weights.safetensors --port 0

From another machine: ssh -L 8765:127.0.0.1:8765 HOST, then open http://127.0.0.1:8765/ there."""


def main(argv: Sequence[str]) -> int:
    """Serve until Ctrl-C.

    Args:
        argv: the arguments after ``flowdeblur demo``.

    Returns:
        The exit status, 0.

    Raises:
        UserError: a mistake in the arguments, or the port is taken.
    """
    parser = command_parser("demo", _DESCRIPTION, _EPILOG)
    add_network(parser)
    parser.add_argument("--port", type=_port, default=8765, help="default: %(default)s; 0: any")
    parser.add_argument("--open", action="store_true", help="open the page in the browser")
    arguments = parser.parse_args(argv)

    from flowdeblur.cli.signals import stopping_cleanly
    from flowdeblur.demo.server import serving
    from flowdeblur.devices import find_device
    from flowdeblur.weights import load

    network = load(arguments.weights, allow=arguments.allow)
    device = find_device(arguments.device)
    with stopping_cleanly(), serving(network, port=arguments.port, device=device) as address:
        print(f"open {address} in a browser; Ctrl-C ends the demo", flush=True)
        if arguments.open:
            import webbrowser

            webbrowser.open(address)
        try:
            wait_for_interrupt()
        except KeyboardInterrupt:
            print("ended; all uploads were removed")
    return 0


def wait_for_interrupt() -> None:
    """Sleep until Ctrl-C raises KeyboardInterrupt."""
    threading.Event().wait()


def _port(text: str) -> int:
    if not text.isdecimal() or int(text) > 65535:
        raise argparse.ArgumentTypeError(f"must be a number from 0 to 65535, not {text}")
    return int(text)
