import numpy as np

from exporter.assess.slots import Slots


def test_a_key_keeps_its_row_while_others_come_and_go() -> None:
    slots = Slots(3)
    first, fresh = slots.place(np.array([10, 20]))
    assert fresh.tolist() == first.tolist()
    again, fresh = slots.place(np.array([30, 10]))
    assert again[1] == first[0]
    assert fresh.tolist() == [again[0]]


def test_the_key_unseen_for_longest_gives_up_its_row() -> None:
    slots = Slots(2)
    (ten, twenty), _ = slots.place(np.array([10, 20]))
    slots.place(np.array([20]))
    (thirty,), fresh = slots.place(np.array([30]))
    assert thirty == ten
    assert fresh.tolist() == [ten]
    assert slots.place(np.array([20]))[0].tolist() == [twenty]


def test_replicas_share_a_row() -> None:
    rows, fresh = Slots(4).place(np.array([5, 5, 6]))
    assert rows.tolist() == [0, 0, 1]
    assert fresh.tolist() == [0, 1]


def test_more_keys_at_once_than_foreseen_each_get_a_row() -> None:
    rows, _ = Slots(2).place(np.arange(5))
    assert sorted(rows.tolist()) == [0, 1, 2, 3, 4]
