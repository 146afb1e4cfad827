"""The rows of a copy on a device: its parts and its tail, and how they are moved and compacted."""
