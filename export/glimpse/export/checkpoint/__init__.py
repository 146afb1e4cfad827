"""Exports checkpoints of open_clip, timm and transformers; needs torch."""
