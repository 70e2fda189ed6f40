"""A run while it lives: its directory and lock, facts of its processes, the keeper of its output.

Knows nothing of commands, projects, or ledgers. On the path to a command's start: only light imports.
"""
