"""Decodes pictures to the image graph's input, in processes with bounded memory and time."""
