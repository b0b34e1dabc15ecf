"""The names of categories, as parts of the keys of metrics."""

import unicodedata
from collections import Counter
from collections.abc import Mapping, Sequence
from typing import Any


def distinct(categories: Sequence[Mapping[str, Any]]) -> dict[int, str]:
    """Returns the name of each id, with the id where two share a name.

    Args:
        categories: mappings with a unique 'id' and a 'name'.
    """
    return _with_ids(
        {category["id"]: str(category["name"]) for category in categories}
    )


def distinct_ascii(categories: Sequence[Mapping[str, Any]]) -> dict[int, str]:
    """Returns the ASCII name of each id where that tells the class.

    'Café' is 'Cafe': letters lose their accents. A name keeps its own script
    where nothing would be left of it, or what is left is another's as well.

    Args:
        categories: mappings with a unique 'id' and a 'name'.
    """
    own = {category["id"]: str(category["name"]) for category in categories}
    plain = {id_: _ascii(name) for id_, name in own.items()}
    counts = Counter(plain.values())
    return _with_ids(
        {
            id_: name if name.strip() and counts[name] == 1 else own[id_]
            for id_, name in plain.items()
        }
    )


def _ascii(name: str) -> str:
    decomposed = unicodedata.normalize("NFKD", name)
    return decomposed.encode("ascii", "ignore").decode()


def _with_ids(names: Mapping[int, str]) -> dict[int, str]:
    counts = Counter(names.values())
    return {
        id_: name if counts[name] == 1 else f"{name} (id {id_})"
        for id_, name in names.items()
    }
