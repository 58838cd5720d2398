"""How the system is set up, shown and shipped."""
