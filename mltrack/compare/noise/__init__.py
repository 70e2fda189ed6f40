"""What repetitions of a run say of its noise. Pure."""
