"""A model that is made while one waits."""

out_dir = "out-small"
smoothing = 0.5
max_steps = 300
warm_up = max_steps // 10
