"""What is remembered: columns of numbers, a row per container, and who each row is."""
