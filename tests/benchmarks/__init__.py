"""What every hot path costs, beside the limit of the machine, in one run. `make bench`.

Nothing here asserts: machines are shared and noisy. Compare rows of one table, never tables of two runs.
"""
