"""Reports: runs and comparisons as one file of HTML or Markdown."""
