"""The version: a constant, because asking the installed metadata for it costs 40 ms."""

VERSION = "0.1.0"
