"""Who may use the console: hosts and origins, sessions, the sign-in, headers of responses."""
