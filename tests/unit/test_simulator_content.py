"""What the simulated provider answers, as a function of the request alone."""

import subprocess
import sys
from typing import Any

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from router.simulator import expected_text, expected_tokens
from router.simulator.choices import chat_choices, completion_choices
from router.simulator.fields import ChatFields, CompletionFields
from router.simulator.refusal import Refusal
from router.simulator.usage import chat_prompt_tokens, completion_usage, text_tokens
from router.simulator.words import WORDS, filler, split_tokens

texts = st.text(alphabet=st.characters(exclude_categories=["Cs"]))


def chat(content: Any = "Hello", **fields: Any) -> dict[str, Any]:
    return {"model": "m", "messages": [{"role": "user", "content": content}], **fields}


def decoded(fields: dict[str, Any]) -> ChatFields:
    return msgspec.convert(fields, ChatFields)


@given(texts)
def test_tokens_joined_are_the_text(text: str) -> None:
    tokens = split_tokens(text)
    assert "".join(tokens) == text
    assert all(tokens)


def test_filler_words_are_one_token_each() -> None:
    assert split_tokens("".join(" " + word for word in WORDS)) == [" " + word for word in WORDS]


@given(st.binary(min_size=1, max_size=40), st.integers(0, 50), st.integers(0, 50))
def test_more_filler_begins_with_less(key: bytes, fewer: int, more: int) -> None:
    assert filler(key, fewer + more)[:fewer] == filler(key, fewer)


def test_the_answer_names_itself_and_quotes_the_question() -> None:
    text = expected_text(chat("What is  trio?"))
    assert "simulated provider" in text
    assert "as m." in text
    assert "“What is trio?”" in text


def test_a_long_question_is_shortened() -> None:
    text = expected_text(chat("word " * 1000))
    assert "word…”" in text
    assert len(text) < 400


def test_the_last_question_counts_and_parts_are_read() -> None:
    messages = [
        {"role": "user", "content": "First"},
        {"role": "assistant", "content": None},
        {"role": "user", "content": [{"type": "text", "text": "Second"}]},
    ]
    text = expected_text({"model": "m", "messages": messages})
    assert "“Second”" in text
    assert "First" not in text


@given(texts, st.integers() | st.none(), st.integers(0, 120))
def test_the_answer_is_a_function_of_the_request(text: str, seed: int | None, tokens: int) -> None:
    fields = chat(text, seed=seed)
    one = expected_tokens(fields, tokens=tokens)
    assert one == expected_tokens(dict(reversed(fields.items())), tokens=tokens)
    assert len(one) == tokens
    assert split_tokens("".join(one)) == one


def test_model_messages_and_seed_each_change_the_answer() -> None:
    answers = [
        expected_text(fields, tokens=200)
        for fields in (
            chat(),
            chat(seed=1),
            chat(seed=2),
            chat("Hullo"),
            chat(model="other"),
            chat(messages=[{"role": "system", "content": "x"}, *chat()["messages"]]),
        )
    ]
    assert len(set(answers)) == len(answers)


def test_other_processes_expect_the_same() -> None:
    program = (
        "from router.simulator import expected_text as e;"
        "print(e({'model': 'm', 'messages': [{'role': 'user', 'content': 'Hi'}]}, tokens=90))"
    )
    run = subprocess.run(
        [sys.executable, "-c", program],
        capture_output=True,
        check=True,
        env={"PYTHONHASHSEED": "7", "PYTHONUTF8": "1"},
        timeout=60,
    )
    assert run.stdout.decode().rstrip("\n") == expected_text(chat("Hi"), tokens=90)


def test_an_ordered_length_stands_above_the_providers() -> None:
    assert len(expected_tokens(chat(simulate={"tokens": 7}), tokens=3)) == 7


@pytest.mark.parametrize("name", ["max_tokens", "max_completion_tokens"])
@pytest.mark.parametrize(("limit", "reason"), [(5, "length"), (6, "stop"), (7, "stop")])
def test_a_token_limit_cuts_the_answer(name: str, limit: int, reason: str) -> None:
    (choice,) = chat_choices(decoded(chat(**{name: limit})), tokens=6)
    assert choice.finish_reason == reason
    assert choice.tokens == expected_tokens(chat(), tokens=6)[:limit]


@given(st.lists(st.sampled_from(["the", "simul", " ", "You", "zzz", ","]), min_size=1, max_size=4))
def test_an_answer_ends_before_the_first_stop_sequence(stops: list[str]) -> None:
    text = expected_text(chat(stop=stops))
    full = expected_text(chat())
    assert full.startswith(text)
    assert not any(stop in text for stop in stops)
    assert text == full or any(full.startswith(text + stop) for stop in stops)


def test_choices_differ_and_come_in_order() -> None:
    choices = chat_choices(decoded(chat(n=4)), tokens=None)
    assert [choice.index for choice in choices] == [0, 1, 2, 3]
    assert len({choice.text for choice in choices}) == 4
    assert choices[0].text == expected_text(chat())


def test_images_are_counted_and_described() -> None:
    parts = [
        {"type": "text", "text": "What is this?"},
        {"type": "image_url", "image_url": {"url": "https://example.com/cat.png"}},
        {"type": "image_url", "image_url": {"url": "data:image/png;base64,AAAA"}},
        {"type": "image_url", "image_url": {"url": "data:image/gif;base64,AAA="}},
        {"type": "image_url", "image_url": "data:,plain"},
    ]
    text = expected_text(chat(parts))
    assert "4 images: a URL, a data URL (image/png, 3 bytes)" in text
    assert "(image/gif, 2 bytes), a data URL (text/plain, 5 bytes)." in text


@pytest.mark.parametrize("url", ["", "data:", "data:image/png;base64,", "data:;base64,=", 5, None])
def test_odd_image_urls_are_still_answered(url: Any) -> None:
    assert "1 image" in expected_text(chat([{"type": "image_url", "image_url": {"url": url}}]))


def test_a_json_schema_shapes_the_answer() -> None:
    schema = {"type": "object", "properties": {"n": {"type": "integer"}, "s": {"enum": ["a", "b"]}}}
    response_format = {"type": "json_schema", "json_schema": {"name": "x", "schema": schema}}
    text = expected_text(chat(response_format=response_format))
    assert msgspec.json.decode(text) == {"n": 1, "s": "a"}


def test_json_mode_answers_with_an_object() -> None:
    text = expected_text(chat(response_format={"type": "json_object"}))
    assert "“Hello”" in msgspec.json.decode(text)["answer"]


@pytest.mark.parametrize("prompt", ["Once", ["One", "Two"], [1, 2, 3], [[1], [2, 3]]])
def test_legacy_prompts_of_every_form_are_answered(prompt: Any) -> None:
    fields = CompletionFields(model="m", prompt=prompt, n=2)
    choices = completion_choices(fields, tokens=None)
    nested = isinstance(prompt, list) and not isinstance(prompt[0], int)
    assert len(choices) == 2 * (len(prompt) if nested else 1)
    assert [choice.index for choice in choices] == list(range(len(choices)))
    assert expected_text({"model": "m", "prompt": prompt}) == choices[0].text


@pytest.mark.parametrize("prompt", [[], [""[:0], 1], [True], [[]], [{}]])
def test_legacy_prompts_of_no_form_are_refused(prompt: Any) -> None:
    with pytest.raises(Refusal, match="'prompt'"):
        completion_choices(CompletionFields(model="m", prompt=prompt), tokens=None)


def test_usage_can_be_checked_by_hand() -> None:
    image = {"type": "image_url", "image_url": {"url": "https://example.com/a.png"}}
    messages = [
        {"role": "system", "content": "12345678"},
        {"role": "user", "content": [{"type": "text", "text": "123456789"}, image]},
    ]
    fields = decoded({"model": "m", "messages": messages, "n": 2})
    assert chat_prompt_tokens(fields) == (4 + 2) + (4 + 3) + 85
    usage = completion_usage(98, chat_choices(fields, tokens=10))
    assert usage["completion_tokens"] == 20
    assert usage["total_tokens"] == 118


@given(texts)
def test_text_counts_a_quarter_of_its_characters_rounded_up(text: str) -> None:
    assert 4 * (text_tokens(text) - 1) < len(text) <= 4 * text_tokens(text) or not text
