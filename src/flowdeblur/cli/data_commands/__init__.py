"""The subcommands of ``flowdeblur data``."""
