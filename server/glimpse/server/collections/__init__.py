"""One collection in memory: its labels, examples, classifier, indexes and fit."""
