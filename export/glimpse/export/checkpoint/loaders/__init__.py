"""Loads checkpoints with open_clip, timm and transformers."""
