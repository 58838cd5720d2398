"""What leaves the exporter: the metric catalogue, the exposition text, HTTP."""
