"""Metrics of trials, aggregated over seeds, and comparisons of backbones."""
