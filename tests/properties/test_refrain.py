"""Streams whose chunks repeat themselves: it makes no difference whether each of them is read.

That holds for what the client gets, to the byte, for what each event means, and for all that is known of the
stream behind each of them, whatever the provider's form is, valid or not.
"""

from collections.abc import Callable
from typing import Final, Literal

import msgspec
from hypothesis import given, settings
from hypothesis import strategies as st

from adapters.dialect import Call, EventKind, Target, Usage
from adapters.openai.stream import ChunkDecoder
from adapters.openai.variant import Variant
from adapters.sse import Signal
from tests.conftest import SIZE

TARGET: Final = Target(upstream_model="m-1", served_model="mock/m", paths={}, headers=[])
READ_EACH: Final = Variant(answers_in_parts=True)  # of such answers the refrain is never learned

Told = tuple[EventKind, bytes]
Form = Callable[[bytes], bytes]


def _chat(delta: bytes, rest: bytes = b"", *, index: int = 0, model: bytes = b"m-1") -> Form:
    before = b'{"id":"c1","created":7,"model":"%b","choices":[{"index":%d,"delta":{%b' % (
        model,
        index,
        delta,
    )
    return lambda text: before + text + b'},"finish_reason":null}]' + rest + b"}"


FORMS: Final[dict[str, Form]] = {
    "plain": _chat(b'"content":'),
    "with a role": _chat(b'"role":"assistant","content":'),
    "with no usage yet": _chat(b'"content":', b',"usage":null,"service_tier":"default"'),
    "with usage": _chat(b'"content":', b',"usage":{"prompt_tokens":3,"completion_tokens":1}'),
    "a thought": _chat(b'"content":null,"reasoning_content":'),
    "a refusal": _chat(b'"refusal":'),
    "twice": _chat(b'"content":"a","reasoning":'),
    "another choice": _chat(b'"content":', index=1),
    "another model": _chat(b'"content":', model=b'm-2","note":"m-1'),
    "an id": lambda text: (
        b'{"id":' + text + b',"model":"m-1","choices":[{"index":0,"delta":{"content":"c1"}}]}'
    ),
    "text": lambda text: b'{"model":"m-1","choices":[{"index":0,"text":' + text + b"}]}",
    "model behind": lambda text: (
        b'{"choices":[{"index":0,"delta":{"content":' + text + b'}}], "model": "m-1"}'
    ),
    "spaced": lambda text: (
        b'{"model": "m-1", "choices": [{"delta": {"content": ' + text + b'}, "index": 0}] }'
    ),
    "a call": lambda text: (
        b'{"model":"m-1","choices":[{"index":0,"delta":{"tool_calls":[{"index":0,"function":'
        b'{"arguments":' + text + b"}}]}}]}"
    ),
    "no chunk": lambda text: b'{"object":"note","text":' + text + b"}",
    "error": lambda text: b'{"error":{"message":' + text + b"}}",
    "finish": lambda _: (
        b'{"model":"m-1","choices":[{"index":0,"delta":{},"finish_reason":"stop"}]}'
    ),
}
STRANGE: Final = (
    *(
        b'""',
        b"null",
        b"{}",
        b"7",
        b"",
        b'"',
        b'" "x"',
        b'"a","content":"b"',
        b'"m-1"',
        b'"c1"',
        b'"a" ',
    ),
    *(
        b'"\xff"',
        b'"\\q"',
        b'"\\ud800"',
        b'"\\u00e9\\n\\"}]"',
        b'"a\nb"',
        b'"\x01"',
        b'"data: {"',
        b'":"',
    ),
    *(b'"a"}', b'"a","x":{"content":"b"}', b'"\\"', b'"\xc3\xa9"', b'"\xed\xa0\x80"', b'"{[}]"'),
)
TEXTS = st.one_of(
    st.text(max_size=6).map(msgspec.json.encode), st.sampled_from(STRANGE), st.just(b'"word"')
)
ENDINGS: Final = (b"\n\n", b"\n\n", b"\r\n\r\n", b"\n")
EVENTS = st.lists(
    st.tuples(st.sampled_from(sorted(FORMS)), st.lists(TEXTS, min_size=1, max_size=6)), max_size=6
)


CALLS: Final = st.builds(
    Call,
    endpoint=st.sampled_from(["chat", "chat", "completions"]),
    model=st.just("m"),
    fields=st.just({}),
    stream=st.just(True),
    include_usage=st.booleans(),
    keeps_beginning=st.booleans(),
    choices=st.integers(1, 2),
)


def take(decoder: ChunkDecoder, data: bytes, told: list[Told]) -> int:
    """Take in what one read brought; return how many events were taken as a whole."""
    frame = decoder.text_frame(data)
    if frame is not None:
        told.append((EventKind.OUTPUT, frame))
        return 1
    decoder.receive_data(data)
    while not isinstance(event := decoder.next_event(), Signal):
        told.append((event.kind, event.frame))
    return 0


@settings(max_examples=150 * SIZE)
@given(
    events=EVENTS,
    call=CALLS,
    cut=st.integers(1, 400),
    endings=st.lists(st.sampled_from(ENDINGS), min_size=1, max_size=3),
)
def test_a_stream_read_by_its_refrain_is_the_one_that_is_read_chunk_by_chunk(
    events: list[tuple[str, list[bytes]]],
    call: Call,
    cut: int,
    endings: list[bytes],
) -> None:
    said = [FORMS[form](text) for form, texts in events for text in texts]
    pieces = [b"data: " + one + endings[at % len(endings)] for at, one in enumerate(said)]
    if cut % 2:
        whole = b"".join(pieces)
        pieces = [whole[at : at + cut] for at in range(0, len(whole), cut)]
    quick, slow = ChunkDecoder(call, TARGET), ChunkDecoder(call, TARGET, READ_EACH)
    told: tuple[list[Told], list[Told]] = ([], [])
    for piece in (b": hello\n\n", *pieces, b""):
        take(quick, piece, told[0])
        assert take(slow, piece, told[1]) == 0
        assert told[0] == told[1]
        assert quick.output_bytes == slow.output_bytes
        assert (quick.usage, quick.complete) == (slow.usage, slow.complete)
        assert quick.beginning == slow.beginning
    assert quick.cut_frames(Usage(output_tokens=1)) == slow.cut_frames(Usage(output_tokens=1))


@given(
    form=st.sampled_from(
        ["plain", "with no usage yet", "a thought", "text", "model behind", "spaced"]
    ),
    words=st.lists(st.text(min_size=1, max_size=9), min_size=1, max_size=9),
)
def test_all_words_of_a_stream_in_a_usual_form_are_taken_by_its_refrain(
    form: str, words: list[str]
) -> None:
    endpoint: Literal["chat", "completions"] = "completions" if form == "text" else "chat"
    call = Call(endpoint=endpoint, model="m", fields={}, stream=True, keeps_beginning=True)
    decoder = ChunkDecoder(call, TARGET)
    told: list[Told] = []
    begun = [
        b'{"choices":[{"index":0,"delta":{"role":"assistant"}}]}',
        FORMS[form](b'"first word"'),
    ]
    for data in begun:
        take(decoder, b"data: " + data + b"\n\n", told)
    taken = sum(
        take(decoder, b"data: " + FORMS[form](msgspec.json.encode(word)) + b"\n\n", told)
        for word in words
    )
    assert taken == len(words)


def test_a_text_that_stands_elsewhere_in_its_chunk_too_does_not_show_where_the_text_is() -> None:
    decoder = ChunkDecoder(Call(endpoint="chat", model="m", fields={}, stream=True), TARGET)
    told: list[Told] = []
    ids = (b'"c0"', b'"c1"', b'"c1"', b'"another id"')  # and the text is always "c1"
    for one in ids:
        take(decoder, b"data: " + FORMS["an id"](one) + b"\n\n", told)
    assert len(told) == len(ids)
    assert decoder.output_bytes == len(ids) * len("c1")
