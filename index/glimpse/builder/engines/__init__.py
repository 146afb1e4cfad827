"""Runs the work of a build: on one machine, or on a Ray cluster."""
