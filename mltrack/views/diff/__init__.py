"""The parts of `mltrack diff` with a shape of their own: numbers side by side, code, and what is inside of data."""
