"""Tokens and users."""

import base64
from pathlib import Path

import bcrypt
import pytest

from actuator.auth import BasicUsers, TokenError, TokenFile


@pytest.fixture
def users() -> BasicUsers:
    return BasicUsers({"ann": bcrypt.hashpw(b"right", bcrypt.gensalt(rounds=4)).decode()})


def basic(user: str, password: str) -> str:
    return "Basic " + base64.b64encode(f"{user}:{password}".encode()).decode()


def test_the_right_password_is_let_in_again_and_again(users: BasicUsers) -> None:
    assert users.allows(basic("ann", "right"))
    assert users.allows(basic("ann", "right"))


@pytest.mark.parametrize(
    "header",
    [
        "",
        "Basic",
        "Basic !!!",
        "Basic " + base64.b64encode(b"\xff\xfe").decode(),
        basic("ann", "wrong"),
        basic("ann", ""),
        basic("bob", "right"),
        basic("", "nobody"),
        basic("ann", "right" * 50),
        "Bearer right",
    ],
)
def test_anything_else_is_not(users: BasicUsers, header: str) -> None:
    assert not users.allows(header)


def test_a_token_is_the_files_text_without_the_space_around_it(tmp_path: Path) -> None:
    file = tmp_path / "token"
    file.write_text("  abc\n")
    token = TokenFile(file)
    assert token.allows("Bearer abc")
    assert token.allows("bearer abc")
    assert not token.allows("abc")
    assert not token.allows("Basic abc")
    assert not token.allows("Bearer abcd")


def test_an_empty_token_lets_nobody_in(tmp_path: Path) -> None:
    (tmp_path / "token").write_text("\n")
    with pytest.raises(TokenError, match="is empty"):
        TokenFile(tmp_path / "token").allows("Bearer ")
