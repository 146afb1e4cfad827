"""The groups of the items that wait: made in a thread, kept with their time, described for an answer."""
