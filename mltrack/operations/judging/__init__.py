"""A run beside the one that it repeats: contents opened, evidence found, the verdict kept."""
