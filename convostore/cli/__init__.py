"""The command line: argv and terminal only."""
