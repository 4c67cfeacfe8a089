"""The pages of the checks, a module for one or more groups. Read by ``explain``, and by nothing else."""
