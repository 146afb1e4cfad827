"""Adapted backbones: the layer that is added to a graph, what a bundle was made from, and what it was trained on."""
