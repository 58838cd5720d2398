"""The nouns of the actuator. Plain frozen data; no behaviour beyond naming."""
