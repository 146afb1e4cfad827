"""The review queue of the server: which queries are kept, and what keeps the queue in order."""
