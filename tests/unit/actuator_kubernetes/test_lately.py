from actuator.platforms.kubernetes.lately import Lately


class Clock:
    now = 100.0

    def __call__(self) -> float:
        return self.now


def test_an_answer_counts_for_its_time_and_is_then_asked_for_again() -> None:
    clock, asked = Clock(), list[str]()
    lately = Lately(asked.append, 10.0, clock)
    for clock.now in (100.0, 109.9, 110.0):
        lately("n1")
    assert asked == ["n1", "n1"]


def test_what_is_asked_about_another_is_another_answer() -> None:
    lately = Lately(lambda name: name.upper(), 10.0, Clock())
    assert (lately("n1"), lately("n2")) == ("N1", "N2")


def test_what_took_long_counts_for_longer() -> None:
    clock, asked = Clock(), list[float]()

    def ask() -> None:
        asked.append(clock.now)
        clock.now += 3.0

    lately = Lately(ask, 10.0, clock, effort=20.0)
    for clock.now in (100.0, 159.0, 160.0):
        lately()
    assert asked == [100.0, 160.0]
