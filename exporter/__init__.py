"""The exporter: learns a Container Personality Profile of each container on its node and publishes it."""
