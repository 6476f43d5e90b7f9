"""Many runs as one experiment: sweeps over W&B's own files, and the tables they end in.

Nothing here imports torch: a run is a process of its own, and what it left in its folder is read.
"""
