"""The two exceptions that the commands print as one line, without a traceback."""

from __future__ import annotations


class UserError(Exception):
    """A mistake of the user's, told in one line that names the file or key and the remedy.

    Attributes:
        status: with which the commands exit.
    """

    status = 2


class Failure(RuntimeError):
    """Something that went wrong though the user did nothing wrong: one line of what and where.

    Attributes:
        status: with which the commands exit.
    """

    status = 1
