"""What runs in the user's own process. Standard library only, Python >= 3.8; imports nothing of ours.

`mltrack run` puts this directory in front of PYTHONPATH, so that `import mltrack` finds `mltrack.py` here in any
interpreter, also where mltrack is not installed. Nothing else in it may have the name of somebody's module.
"""
