"""A local page on which clips can be dropped: ``flowdeblur demo``."""
