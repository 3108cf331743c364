"""What the command line can do: its arguments, and one module for each command besides serving a room."""
