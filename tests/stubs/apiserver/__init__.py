"""An API server for tests: objects in memory, behind real sockets."""
