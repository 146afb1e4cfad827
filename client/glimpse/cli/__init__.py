"""The `glimpse` command, a client of the server with a few commands that work on files and ledgers directly."""
