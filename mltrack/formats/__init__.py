"""Files that are read and written: params, metrics, series, and the one grammar of scalars.

Every function here takes paths, bytes or text and gives plain values; nothing here knows a run, a store or a project,
and nothing that is read is ever executed.
"""
