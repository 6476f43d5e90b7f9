"""The only place where a configuration becomes objects that run."""
