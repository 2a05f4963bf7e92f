"""The operating system's files, and nothing else."""
