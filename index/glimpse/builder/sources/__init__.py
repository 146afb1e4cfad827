"""Reads the inputs of a build: folders, patterns, tables, webdataset tars, text files and pictures."""
