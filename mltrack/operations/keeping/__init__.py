"""The health and the size of what is kept: what records need, what is damaged, what may go."""
