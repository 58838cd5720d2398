"""The command `backtest`: past samples in, forecasts, scores and a picture of both out."""
