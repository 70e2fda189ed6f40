"""Where a file came from: the run that made it, and the graph of runs that share content."""
