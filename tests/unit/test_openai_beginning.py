"""What is kept of an answer in case its stream breaks, and when nothing is."""

import msgspec
import pytest

from adapters.dialect import Beginning
from adapters.middle.beginning import MAX_TEXT_BYTES
from tests.openai_wire import (
    ROLE,
    SERVED,
    STOP,
    STREAM,
    chunk,
    decode,
    delta,
    event,
    streaming,
    text,
)


def beginning_of(*pieces: bytes, cut: bytes = b"") -> Beginning | None:
    asked = msgspec.structs.replace(streaming(), keeps_beginning=True)
    _, decoder = decode([*pieces, cut], asked)
    return decoder.beginning


def kept_text(*pieces: bytes, cut: bytes = b"") -> str | None:
    found = beginning_of(*pieces, cut=cut)
    return None if found is None else msgspec.json.decode(found.text, type=str)


def test_the_text_and_what_all_chunks_share_are_kept() -> None:
    found = beginning_of(*STREAM[:3])
    assert found is not None
    assert bytes(found.text) == b'"Hello"'
    assert found.output_tokens == 2
    assert found.usage is None
    assert {name: bytes(raw) for name, raw in found.members.items()} == {
        "id": b'"chatcmpl-1"',
        "created": b"1",
        "model": f'"{SERVED}"'.encode(),
    }


def test_nothing_is_kept_unless_asked() -> None:
    _, decoder = decode(STREAM[:3])
    assert decoder.beginning is None


@pytest.mark.parametrize("said", ['a "quoted" \\ \n', "Grüße, 世界 🦜", "\u2028\x00\x7f", "</s>"])
def test_text_of_any_kind_is_kept_as_it_was_written(said: str) -> None:
    assert kept_text(event(chunk(text(said))), event(chunk(text("é")))) == said + "é"
    raw = chunk(delta(f'"content":{msgspec.json.encode(said).decode()}'))
    assert kept_text(event(raw)) == said


@pytest.mark.parametrize("cut", range(1, len(STREAM[2]) - 2))
def test_an_event_that_is_cut_off_is_no_part_of_the_text(cut: int) -> None:
    """Neither the client has it nor does the rescuer get it. Its last two bytes are line ends only."""
    whole = len(STREAM[2]) - 2
    said = "Hello" if cut >= whole else "Hel"
    assert kept_text(*STREAM[:2], cut=STREAM[2][:cut]) == said


def test_a_whole_event_without_its_blank_line_is_a_part_of_the_text() -> None:
    assert kept_text(*STREAM[:2], cut=STREAM[2][:-2]) == "Hello"


@pytest.mark.parametrize(
    "fields",
    [
        '"tool_calls":[{"index":0,"id":"c","function":{"name":"f","arguments":""}}]',
        '"function_call":{"name":"f"}',
        '"reasoning_content":"hm"',
        '"reasoning":"hm"',
        '"refusal":"no"',
        '"audio":{"id":"a"}',
        '"content":[{"type":"text","text":"a"}]',
    ],
)
def test_more_than_text_cannot_be_gone_on_with(fields: str) -> None:
    before, after = event(chunk(text("a"))), event(chunk(text("b")))
    assert beginning_of(before) is not None
    assert beginning_of(before, event(chunk(delta(fields))), after) is None


def test_neither_can_a_finished_choice_nor_a_second_one_nor_no_text_at_all() -> None:
    assert beginning_of(*STREAM[:3], event(chunk(STOP))) is None
    assert beginning_of(*STREAM[:3], event(chunk(text("x", index=1)))) is None
    assert beginning_of(event(chunk(ROLE))) is None
    assert beginning_of() is None


def test_what_the_provider_told_counts_before_what_was_counted() -> None:
    usage = ',"usage":{"prompt_tokens":7,"completion_tokens":%d}'
    told = beginning_of(event(chunk(text("Hello"), rest=usage % 4)))
    assert told is not None
    assert told.usage is not None
    assert (told.output_tokens, told.usage.input_tokens) == (4, 7)
    late = beginning_of(event(chunk(text("a"), rest=usage % 0)), event(chunk(text("b"))))
    assert late is not None
    assert late.output_tokens == 2


def test_the_text_is_kept_up_to_a_bound() -> None:
    piece = event(chunk(text("x" * (MAX_TEXT_BYTES // 4 - 2))))
    assert beginning_of(*[piece] * 4) is not None
    assert beginning_of(*[piece] * 4, event(chunk(text("x")))) is None
