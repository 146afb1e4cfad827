"""The results of calls as dataclasses, and the functions that read them from messages."""
