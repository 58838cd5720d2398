import shutil
from pathlib import Path

import pytest

from deploy.setup import packages, stamps
from deploy.setup.shell import SetupError, run_logged


@pytest.fixture(autouse=True)
def build(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setattr(stamps, "BUILD", tmp_path / "build")
    return tmp_path / "build"


def test_the_key_changes_with_content_and_facts_and_with_nothing_else(tmp_path: Path) -> None:
    source = tmp_path / "a.go"
    source.write_text("one")
    first = stamps.content_key([source], "go1.26")
    source.touch()
    assert stamps.content_key([source], "go1.26") == first
    assert stamps.content_key([source], "go1.27") != first
    source.write_text("two")
    assert stamps.content_key([source], "go1.26") != first


def test_a_step_is_fresh_only_for_its_key_and_while_its_output_exists(tmp_path: Path) -> None:
    output = tmp_path / "program"
    assert not stamps.is_fresh("step", "key", [])
    stamps.mark_done("step", "key")
    assert not stamps.is_fresh("step", "key", [output])
    output.touch()
    assert stamps.is_fresh("step", "key", [output])
    assert not stamps.is_fresh("step", "other", [output])


def test_a_program_on_the_path_needs_no_package(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(shutil, "which", lambda name, path=None: f"/usr/bin/{name}")
    assert packages.missing_packages(for_tests=True) == []


def test_each_missing_program_asks_for_its_package(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(
        shutil, "which", lambda name, path=None: None if name in {"promtool", "clang"} else f"/usr/bin/{name}"
    )
    assert packages.missing_packages(for_tests=False) == ["clang", "prometheus"]


def test_a_system_program_is_found_on_the_path_of_a_plain_su(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(packages, "_RUN_PACKAGES", ((("cpp-test-program",), "of-the-test"),))
    monkeypatch.setattr(packages, "_SYSTEM_FOLDERS", str(tmp_path))
    monkeypatch.setenv("PATH", "/usr/bin:/bin")
    assert "of-the-test" in packages.missing_packages(for_tests=False)
    (tmp_path / "cpp-test-program").touch(mode=0o755)
    assert "of-the-test" not in packages.missing_packages(for_tests=False)


def test_either_name_of_alertmanager_will_do(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(shutil, "which", lambda name, path=None: None if name == "alertmanager" else f"/usr/bin/{name}")
    assert packages.missing_packages(for_tests=False) == []


def test_packages_of_the_tests_are_not_asked_for_by_the_demo(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(shutil, "which", lambda name, path=None: None if name == "debootstrap" else f"/usr/bin/{name}")
    assert packages.missing_packages(for_tests=False) == []
    assert packages.missing_packages(for_tests=True) == ["debootstrap"]


def test_a_failed_step_says_what_and_shows_the_end_of_its_log(tmp_path: Path) -> None:
    with pytest.raises(SetupError, match=r"the thing failed \(exit 3\)(.|\n)*no space left"):
        run_logged("the thing", ["sh", "-c", "echo no space left; exit 3"], tmp_path / "x.log")
