from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from numpy.typing import NDArray

from exporter.persist.arrays import MismatchError, fitting, numbers, spelled, texts, under, within
from exporter.persist.file import DamagedError, opened, remove_unfinished, write

ARRAYS = {
    "a/ring": np.arange(24, dtype=np.float32).reshape(2, 3, 4)[:, :, 1:3],
    "a/flags": np.array([True, False]),
    "names": np.frombuffer("schön".encode(), np.uint8),
    "none": np.empty((0, 5), np.int64),
}
ABOUT = {"format": 1, "at": 2.5}


def _copy(piece: NDArray[np.generic]) -> bytes:
    return piece.tobytes()


@pytest.fixture
def file(tmp_path: Path) -> Path:
    path = tmp_path / "state.npz"
    write(path, ABOUT, ARRAYS, _copy)
    return path


def test_what_was_written_is_read_back(file: Path) -> None:
    with opened(file) as (about, arrays):
        assert about == ABOUT
        assert set(arrays) == set(ARRAYS)
        for name, array in ARRAYS.items():
            np.testing.assert_array_equal(arrays[name], array)
            assert arrays[name].dtype == array.dtype


def test_a_large_array_is_copied_in_pieces_of_a_few_megabytes(tmp_path: Path) -> None:
    large, sizes = np.random.default_rng(1).random((3000, 500)), []

    def copy(piece: NDArray[np.generic]) -> bytes:
        sizes.append(piece.nbytes)
        return piece.tobytes()

    size = write(tmp_path / "state.npz", ABOUT, {"large": large}, copy)
    assert len(sizes) > 1
    assert max(sizes) <= 2**22
    assert size == (tmp_path / "state.npz").stat().st_size
    with opened(tmp_path / "state.npz") as (_, arrays):
        np.testing.assert_array_equal(arrays["large"], large)


def test_a_file_is_for_its_owner_alone_and_numpy_reads_it(file: Path) -> None:
    assert file.stat().st_mode & 0o777 == 0o600
    with np.load(file, allow_pickle=False) as arrays:
        np.testing.assert_array_equal(arrays["a/ring"], ARRAYS["a/ring"])


def test_a_writing_that_fails_leaves_the_old_file_and_nothing_else(file: Path) -> None:
    before = file.read_bytes()

    def fail(piece: NDArray[np.generic]) -> bytes:
        raise OSError(28, "No space left on device")

    with pytest.raises(OSError, match="No space"):
        write(file, ABOUT, ARRAYS, fail)
    assert file.read_bytes() == before
    assert list(file.parent.iterdir()) == [file]


def test_what_a_killed_writer_left_is_removed_and_nothing_else(file: Path) -> None:
    (file.parent / "tmpabc.new").write_bytes(b"half")
    (file.parent / "notes.txt").write_bytes(b"a user's")
    remove_unfinished(file.parent)
    assert sorted(path.name for path in file.parent.iterdir()) == ["notes.txt", "state.npz"]


def test_every_cut_is_noticed(file: Path) -> None:
    whole = file.read_bytes()
    for length in range(0, len(whole), 7):
        file.write_bytes(whole[:length])
        with pytest.raises(DamagedError), opened(file):
            pass


@given(place=st.integers(0, 10_000), mask=st.integers(1, 255))
def test_a_flipped_bit_is_noticed_or_harms_nothing(
    tmp_path_factory: pytest.TempPathFactory, place: int, mask: int
) -> None:
    file = tmp_path_factory.mktemp("flip") / "state.npz"
    write(file, ABOUT, ARRAYS, _copy)
    data = bytearray(file.read_bytes())
    data[place % len(data)] ^= mask
    file.write_bytes(data)
    try:
        with opened(file) as (about, arrays):
            assert about == ABOUT
            for name in set(arrays) & set(ARRAYS):
                np.testing.assert_array_equal(arrays[name], ARRAYS[name])
    except DamagedError:
        pass


@given(st.binary(max_size=2000))
def test_garbage_is_damage(tmp_path_factory: pytest.TempPathFactory, data: bytes) -> None:
    file = tmp_path_factory.mktemp("garbage") / "state.npz"
    file.write_bytes(data)
    with pytest.raises(DamagedError), opened(file):
        pass


def test_an_array_of_objects_is_never_unpickled(tmp_path: Path) -> None:
    hostile = np.array([{"a": 1}], dtype=object)
    np.savez(tmp_path / "state.npz", hostile=hostile)
    write(tmp_path / "other.npz", ABOUT, {"hostile": hostile}, lambda piece: b"12345678")
    with pytest.raises(DamagedError), opened(tmp_path / "state.npz"):
        pass
    with opened(tmp_path / "other.npz") as (_, arrays), pytest.raises(MismatchError, match="hostile"):
        _ = arrays["hostile"]


def test_a_file_that_is_not_there_is_no_damage(tmp_path: Path) -> None:
    with pytest.raises(FileNotFoundError), opened(tmp_path / "state.npz"):
        pass


def test_parts_nest() -> None:
    arrays = under("forecast", under("state", {"sums": np.zeros(2)}))
    inner = within("state", within("forecast", arrays))
    assert list(inner) == ["sums"]
    assert len(inner) == 1
    assert "sums" in inner
    assert "state/sums" not in inner


@pytest.mark.parametrize(
    ("array", "why"),
    [
        (np.zeros((3, 4), np.float64), "another type"),
        (np.zeros((3, 5), np.float32), "more columns"),
        (np.zeros((2, 4), np.float32), "fewer rows"),
        (np.zeros(3, np.float32), "fewer axes"),
    ],
    ids=lambda value: value if isinstance(value, str) else "",
)
def test_an_array_of_another_type_or_shape_does_not_fit(array: NDArray[np.generic], why: str) -> None:
    with pytest.raises(MismatchError, match="losses is "):
        fitting({"losses": array}, "losses", np.zeros((0, 4), np.float32), 3)


def test_an_array_that_is_missing_does_not_fit() -> None:
    for read in (lambda: fitting({}, "a", np.zeros(1)), lambda: texts({}, "a"), lambda: numbers({}, "a", 1)):
        with pytest.raises(MismatchError, match=r"^a(/ends)? is"):
            read()


@pytest.mark.parametrize("words", [[], [""], ["web", "", "schön", "a\0", "\ud800"]], ids=["none", "empty", "several"])
def test_texts_come_back_as_they_were(words: list[str]) -> None:
    assert texts(spelled("a", words), "a") == words


def test_one_long_text_takes_no_room_in_the_others() -> None:
    saved = spelled("a", ["x" * 100_000, *["web"] * 1000])
    assert sum(array.nbytes for array in saved.values()) < 120_000


@pytest.mark.parametrize(
    ("name", "array"),
    [
        ("bytes", np.frombuffer(b"\xff\xfe\xfd", np.uint8)),
        ("bytes", np.frombuffer(b"we", np.uint8)),
        ("bytes", np.zeros(3)),
        ("ends", np.array([9, 3], np.int64)),
        ("ends", np.array([-2, 3], np.int64)),
        ("ends", np.array([1.0, 3.0])),
    ],
    ids=["no utf-8", "too short", "numbers", "backwards", "before the first", "fractions"],
)
def test_bytes_that_are_no_texts_do_not_fit(name: str, array: NDArray[np.generic]) -> None:
    saved = spelled("a", ["w", "eb"]) | {f"a/{name}": array}
    with pytest.raises(MismatchError):
        texts(saved, "a")
