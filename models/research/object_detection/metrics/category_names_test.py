"""Names in keys are ASCII where that tells the class, and never the same."""

import pytest

from object_detection.metrics import category_names


def categories(*names):
    return [
        {"id": number * 3, "name": name}
        for number, name in enumerate(names, start=1)
    ]


@pytest.mark.parametrize(
    ("names", "expected"),
    [
        (["Café", "naïve fish"], ["Cafe", "naive fish"]),
        # Full-width letters and a ligature.
        (["\uff23\uff21\uff34", "\ufb01sh"], ["CAT", "fish"]),
        # Nothing would be left.
        (["信号机", "кот", "cat"], ["信号机", "кот", "cat"]),
        (["犬 猫", "\U0001f600"], ["犬 猫", "\U0001f600"]),
        # What is left of the first two is the same.
        (["犬 1", "猫 1", "鳥 2"], ["犬 1", "猫 1", " 2"]),
        (["resume", "résumé", "other"], ["resume", "résumé", "other"]),
        (["cat", "dog", "cat"], ["cat (id 3)", "dog", "cat (id 9)"]),
    ],
)
def test_ascii_names(names, expected):
    found = category_names.distinct_ascii(categories(*names))
    assert list(found.values()) == expected
    assert list(found) == [3 * n for n in range(1, len(names) + 1)]


def test_own_names():
    names = ["Café", "cat", "信", "cat"]
    assert category_names.distinct(categories(*names)) == {
        3: "Café",
        6: "cat (id 6)",
        9: "信",
        12: "cat (id 12)",
    }
