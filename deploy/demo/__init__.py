"""The whole system on one machine: the stack that the demo shows and the end-to-end tests use."""
