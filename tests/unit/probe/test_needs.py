from pathlib import Path

import pytest

from exporter.probe.needs import first_lack

ALL, NONE = (1 << 41) - 1, 0
PERFMON, BPF, ADMIN = 1 << 38, 1 << 39, 1 << 21
HOST = "         0          0 4294967295\n"
ROOTLESS = "         0       1000          1\n"


def process(folder: Path, capabilities: int = ALL, ids: str = HOST) -> Path:
    (folder / "uid_map").write_text(ids)
    (folder / "status").write_text(f"Name:\tcpp-probe\nCapEff:\t{capabilities:016x}\n")
    return folder


@pytest.fixture
def there(tmp_path: Path) -> Path:
    """Return a file that is there."""
    (tmp_path / "file").touch()
    return tmp_path / "file"


@pytest.mark.parametrize("capabilities", [ALL, PERFMON | BPF, ADMIN])
def test_root_with_the_two_capabilities_or_the_one_that_holds_them_lacks_nothing(
    tmp_path: Path, there: Path, capabilities: int
) -> None:
    assert first_lack(there, there, process(tmp_path, capabilities)) is None


@pytest.mark.parametrize(
    ("capabilities", "ids", "words"),
    [
        (NONE, HOST, "lacks CAP_PERFMON and CAP_BPF; run it as root"),
        (BPF, HOST, "lacks CAP_PERFMON; run it as root, or give it these, in a container by --cap-add=PERFMON"),
        (ALL, ROOTLESS, "user namespace"),
        (ALL, "", "user namespace"),
    ],
)
def test_missing_rights_are_named_with_the_remedy(
    tmp_path: Path, there: Path, capabilities: int, ids: str, words: str
) -> None:
    assert words in (first_lack(there, there, process(tmp_path, capabilities, ids)) or "")


def test_a_missing_program_is_named(tmp_path: Path, there: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    gone = tmp_path / "cpp-probe-kernel"
    assert f"there is no {gone}; make it" in (first_lack(gone, there, process(tmp_path)) or "")
    monkeypatch.setenv("PATH", str(tmp_path))
    assert "there is no setpriv on the PATH" in (first_lack(there, there, process(tmp_path)) or "")


def test_a_kernel_that_does_not_tell_its_types_is_named(tmp_path: Path, there: Path) -> None:
    assert "CONFIG_DEBUG_INFO_BTF" in (first_lack(there, tmp_path / "vmlinux", process(tmp_path)) or "")
