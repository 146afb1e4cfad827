"""Pulls ready backbones: finds the files of a model on a hub, a web server or a disk, and reads how it is used.

    source = parse_source("hf:sentence-transformers/all-MiniLM-L6-v2")

`glimpse.export.foreign` makes a bundle of what lies here. docs/pull.md describes sources and layouts.
"""
