"""What the actuator remembers: one protocol, a store per home."""
