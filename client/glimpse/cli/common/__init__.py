"""Parts that subcommands share: options, inputs, connections, tables, progress and errors."""
