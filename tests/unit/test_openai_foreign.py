"""What others wrote is checked to be UTF-8, in pieces, wherever a piece may end."""

import pytest

from adapters.openai.foreign import check_utf8

PIECE = 64 * 1024


@pytest.mark.parametrize("character", ["é", "日", "🙂"])
def test_a_character_may_lie_across_two_pieces(character: str) -> None:
    for before in range(PIECE - 4, PIECE + 1):
        check_utf8(b"x" * before + character.encode() + b"x")


@pytest.mark.parametrize("wrong", [b"\xff", b"\xc3", b"\xf0\x9f\x99", b"\xed\xa0\x80", b"\xc0\x80"])
def test_what_is_not_utf8_is_found_everywhere(wrong: bytes) -> None:
    for before in (0, 1, PIECE - 1, PIECE):
        for behind in (b"", b"x", "é".encode()):
            with pytest.raises(UnicodeDecodeError):
                check_utf8(b"x" * before + wrong + behind)


def test_nothing_is_utf8() -> None:
    check_utf8(b"")
