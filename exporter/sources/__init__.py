"""Where samples come from: exposition text, Prometheus, recordings. Knows nothing of what is done with them."""
