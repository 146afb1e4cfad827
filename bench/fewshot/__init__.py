"""Measures what each part of the few-shot engine gains on real data."""
