"""From records and series to the nouns of a plot."""
