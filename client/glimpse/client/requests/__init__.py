"""The arguments of calls, and the functions that build requests from them."""
