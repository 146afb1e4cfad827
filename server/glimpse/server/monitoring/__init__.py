"""Views for operators and probes: the metrics endpoint, a dump of active work, and the health probe."""
