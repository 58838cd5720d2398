"""The actuator: turns alerts into orders, orders into checked steps, and remembers each of them."""
