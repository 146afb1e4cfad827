"""Exports from the frameworks that checkpoints come from. Needs torch."""
