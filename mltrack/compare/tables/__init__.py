"""Two versions of a table (CSV, TSV, Parquet) -> rows, columns, and which columns changed their distribution. Pure.

Standard library alone: for tables that a person waits for, importing numpy takes longer than all the sums. Parquet is
read by pyarrow.
"""
