"""The verbs of the command, a module each: `run(arguments)` does the work and returns the exit code."""
