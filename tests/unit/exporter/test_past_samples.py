import pytest

from exporter.sources.prometheus import HistoryUnavailableError, fetch_range


@pytest.mark.parametrize("url", ["http://[::1", "nowhere", "", "http://", ":9090"])
def test_an_address_that_is_none_is_told_with_the_address(url: str) -> None:
    with pytest.raises(HistoryUnavailableError) as caught:
        fetch_range(url, "up", 0.0, 60.0, 60.0, 1.0)
    assert str(caught.value).startswith(f"{url}: ")
    assert "\n" not in str(caught.value)
