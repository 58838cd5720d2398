"""Forecasts of demand: calibrated quantiles from models that compete on measured loss."""
