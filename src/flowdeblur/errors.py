"""The exceptions that the commands print as one line, without a traceback."""

from __future__ import annotations


class FlowdeblurError(Exception):
    """Base class of the project's errors.

    Attributes:
        status: exit status of the commands.
    """

    status = 1


class UserError(FlowdeblurError, ValueError):
    """A mistake in the input: one line that names the file or key and the remedy."""

    status = 2


class RuntimeFailureError(FlowdeblurError, RuntimeError):
    """A failure that is not the user's mistake (disk full, no memory, ...): one line."""
