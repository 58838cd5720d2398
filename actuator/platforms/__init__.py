"""The platforms on which containers run, behind one protocol."""
