import numpy as np

from exporter.forecast import arima


def test_differencing_is_multiplied_into_the_autoregression() -> None:
    packed = arima.pack(0.0, np.array([0.5]), 1, np.array([]))
    assert packed[1:4].tolist() == [1.5, -0.5, 0.0]


def test_a_series_without_a_model_has_no_forecast() -> None:
    model = arima.unpack(np.full((1, arima.WIDTH), np.nan))
    assert np.isnan(arima.forecast(model, np.ones((1, 50)), np.zeros((1, arima.MAX_Q)), 49, (5,))).all()
