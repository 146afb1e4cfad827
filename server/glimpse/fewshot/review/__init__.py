"""Review of kept queries: which to show first, what to propose for a group, and estimates for the whole traffic."""
