"""What of a body is text: pictures and files are found wherever they stand, and nothing else is taken."""

import base64
import json
from random import Random

import pytest
from hypothesis import given
from hypothesis import strategies as st

from limiter.prompt import PromptSize, measure_prompt


def payload(size: int, seed: int = 1) -> str:
    """Base64 of exactly `size` letters (a multiple of 4)."""
    return base64.b64encode(Random(seed).randbytes(size // 4 * 3)).decode()


def chat(*content: object) -> bytes:
    return json.dumps({"messages": [{"role": "user", "content": list(content)}]}).encode()


def image(url: str) -> dict[str, object]:
    return {"type": "image_url", "image_url": {"url": url}}


def test_a_body_of_text_is_all_text() -> None:
    body = chat({"type": "text", "text": "Tell me about the city. " * 1_000})
    assert measure_prompt(body) == PromptSize(len(body), 0)


@pytest.mark.parametrize("size", [2_048, 4_000, 4_004, 100_000, 3_000_000])
def test_an_image_counts_by_the_piece(size: int) -> None:
    body = chat(image("data:image/png;base64," + payload(size)))
    assert measure_prompt(body) == PromptSize(len(chat(image(""))), 1)


def test_what_is_shorter_than_2048_bytes_is_text() -> None:
    body = chat(image("data:image/png;base64," + payload(2_044)))
    assert measure_prompt(body) == PromptSize(len(body), 0)


@pytest.mark.parametrize(
    ("member", "preamble"),
    [
        ("url", "data:image/jpeg;base64,"),
        ("image_url", "data:image/jpeg;base64,"),
        ("data", ""),
        ("file_data", "data:application/pdf;name=report-of-the-year.pdf;base64,"),
        ("video_url", "data:video/mp4;base64,"),
        ("b64_json", ""),
    ],
)
def test_files_are_known_by_their_member(member: str, preamble: str) -> None:
    body = chat({member: preamble + payload(8_000)})
    assert measure_prompt(body) == PromptSize(len(chat({member: ""})), 1)


@pytest.mark.parametrize("member", ["text", "content", "arguments", "curl", "metadata_"])
def test_base64_that_the_model_reads_as_text_is_text(member: str) -> None:
    body = chat({member: "data:image/png;base64," + payload(8_000)})
    assert measure_prompt(body) == PromptSize(len(body), 0)


def test_json_inside_a_string_is_text() -> None:
    body = chat({"type": "text", "text": json.dumps({"data": payload(8_000)})})
    assert measure_prompt(body) == PromptSize(len(body), 0)


def test_words_in_the_place_of_a_file_are_text() -> None:
    words = payload(2_400) + " and then a long story " * 500 + payload(2_400)
    body = chat({"type": "text", "data": words})
    assert measure_prompt(body) == PromptSize(len(body), 0)


def test_base64_may_be_written_with_escapes_and_line_breaks() -> None:
    lines = "\n".join(payload(76, seed) for seed in range(200))
    body = chat(image("data:image/png;base64," + lines)).replace(b"/", b"\\/")
    assert measure_prompt(body).payloads == 1


def test_blanks_around_the_colon_do_not_matter() -> None:
    body = b'{"data"  :\n "' + payload(8_000).encode() + b'"}'
    assert measure_prompt(body) == PromptSize(len(b'{"data"  :\n ""}'), 1)


def test_letters_escaped_by_number_weigh_as_if_written_out() -> None:
    text = "Расскажите, какой город. " * 200
    escaped = measure_prompt(json.dumps({"text": text}).encode()).text_bytes
    written = measure_prompt(json.dumps({"text": text}, ensure_ascii=False).encode()).text_bytes
    assert written <= escaped <= written * 1.5


@pytest.mark.parametrize(
    "body",
    [b"", b'"' * 9_000, b"A" * 9_000, b'"data":"' + b"A" * 9_000, b"\\" * 9_000, b"\xff" * 9_000],
)
def test_what_is_no_json_is_text(body: bytes) -> None:
    assert measure_prompt(body) == PromptSize(len(body), 0)


PARTS = st.one_of(
    st.text(max_size=50).map(lambda text: ({"text": text}, {"text": text}, 0)),
    st.integers(0, 4_000).map(
        lambda size: ({"text": "so on " * size}, {"text": "so on " * size}, 0)
    ),
    st.integers(512, 3_000).map(
        lambda size: (image("data:image/png;base64," + payload(4 * size)), image(""), 1)
    ),
    st.integers(512, 3_000).map(lambda size: ({"data": payload(4 * size)}, {"data": ""}, 1)),
)


@given(st.lists(PARTS, max_size=8))
def test_every_payload_is_found_among_text_and_others(
    parts: list[tuple[object, object, int]],
) -> None:
    body = chat(*(part for part, _, _ in parts))
    without = measure_prompt(chat(*(rest for _, rest, _ in parts)))
    found = measure_prompt(body)
    assert found.payloads == sum(count for _, _, count in parts)
    assert found.text_bytes == without.text_bytes
