"""Pictures of runs and of data sets. matplotlib is known here and nowhere else."""
