"""The directory against a dict, with digests that collide and with removals in any order."""

from array import array

from hypothesis import given
from hypothesis import strategies as st

from limiter.directory import (
    BURIED,
    CAPACITY,
    SLOTS,
    directory_words,
    find,
    insert,
    remove,
    slot_for,
)
from limiter.row import HIGH, LOW

CAPACITY_HERE = 16
DIRECTORY = 8
ROWS = DIRECTORY + directory_words(CAPACITY_HERE)
SPACING = 8
MOST = 12


def fresh() -> memoryview:
    words = memoryview(array("q", bytes(8 * (ROWS + SPACING * MOST))))
    words[DIRECTORY + CAPACITY] = CAPACITY_HERE
    return words


def slots(words: memoryview) -> list[int]:
    return words[DIRECTORY + SLOTS : DIRECTORY + SLOTS + CAPACITY_HERE].tolist()


# Low words that share all or some of the bits which place them.
LOWS = st.sampled_from([3, 3 + 16, 3 + (1 << 31), 4, 14, 15, 15 + 32, -1, 1 << 40])
DIGESTS = st.tuples(st.integers(1, 3), LOWS)


@given(steps=st.lists(st.tuples(st.booleans(), DIGESTS), max_size=120))
def test_it_finds_what_was_put_in_and_nothing_else(
    steps: list[tuple[bool, tuple[int, int]]],
) -> None:
    words = fresh()
    model: dict[tuple[int, int], int] = {}
    used = 0
    for put, digest in steps:
        if digest in model:
            if not put:
                used -= remove(words, DIRECTORY, slot_for(model.pop(digest), digest[1]))
        elif put and len(model) < MOST:
            row = next(
                offset
                for offset in range(ROWS, ROWS + SPACING * MOST, SPACING)
                if offset not in model.values()
            )
            words[row + HIGH], words[row + LOW] = digest
            used += insert(words, DIRECTORY, slot_for(row, digest[1]))
            model[digest] = row
        assert {known: find(words, DIRECTORY, *known) for known in model} == model
        assert used == sum(slot != 0 for slot in slots(words))
    assert all(
        find(words, DIRECTORY, high, low) == model.get((high, low), 0)
        for high in (1, 2, 3)
        for low in (3, 19, 4, 14, 15, -1)
    )


def test_the_last_one_removed_leaves_nothing_buried() -> None:
    words = fresh()
    for number in range(5):
        insert(words, DIRECTORY, slot_for(ROWS + SPACING * number, 14))
    for number in range(4):
        assert remove(words, DIRECTORY, slot_for(ROWS + SPACING * number, 14)) == 0
    assert slots(words).count(BURIED) == 4
    assert remove(words, DIRECTORY, slot_for(ROWS + SPACING * 4, 14)) == 5
    assert slots(words) == [0] * CAPACITY_HERE


def test_putting_a_slot_in_twice_changes_nothing() -> None:
    words = fresh()
    assert insert(words, DIRECTORY, slot_for(ROWS, 7)) == 1
    before = slots(words)
    assert insert(words, DIRECTORY, slot_for(ROWS, 7)) == 0
    assert slots(words) == before


def test_a_full_directory_ends_a_search() -> None:
    words = fresh()
    for number in range(CAPACITY_HERE):
        insert(words, DIRECTORY, slot_for(8 * (100 + number), number))
    assert find(words, DIRECTORY, 1, 16 * 5) == 0
