"""Keeps others out: hosts and origins, sessions, the sign-in, headers of responses."""
