"""The GPU that a person means by `--gpu`: a compute capability, or a name as people write it."""

from __future__ import annotations

from pascal_install.errors import UsageError
from pascal_install.model.cuda import ComputeCapability
from pascal_install.value import TYPE_CHECKING, NamedTuple

if TYPE_CHECKING:
    from collections.abc import Iterable

    Names = Iterable[tuple[str, str]]
    """Pairs of a card's name and its compute capability, as text; looked through more than once."""

#: Words that tell no cards apart.
_NOISE = frozenset(("nvidia", "geforce", "gpu", "graphics", "card", "generation", "with", "design", "series"))
#: Words that people leave out: `1080 Ti`, `P40`, `RTX 6000` for `Quadro RTX 6000`.
_BRANDS = ("gtx", "rtx", "tesla", "quadro", "grid", "gt")
#: What people write without a space: before the number, and after it.
_PREFIXES = ("nvidia", "geforce", "titan", *_BRANDS)
_SUFFIXES = ("ti", "super", "laptop", "mobile")
_SAME = {"laptop": "mobile", "notebook": "mobile"}

#: A name that cards share means the newer: a Kepler `GeForce GT 1030` (pci.ids) is a forgotten OEM card.
_KEPLER_END = ComputeCapability(5, 0)
_SHOWN = 6

#: Names of architectures: the first compute capability of each, and the first after it (CUDA C++ Programming Guide).
_ARCHITECTURES = {
    "kepler": ((3, 0), (5, 0)),
    "maxwell": ((5, 0), (6, 0)),
    "pascal": ((6, 0), (7, 0)),
    "volta": ((7, 0), (7, 5)),
    "turing": ((7, 5), (8, 0)),
    "ampere": ((8, 0), (8, 9)),
    "ada": ((8, 9), (9, 0)),
    "lovelace": ((8, 9), (9, 0)),
    "hopper": ((9, 0), (10, 0)),
    "blackwell": ((10, 0), (13, 0)),
}


class _Card(NamedTuple):
    name: str
    words: tuple[str, ...]
    capability: ComputeCapability

    @property
    def bare(self) -> tuple[str, ...]:
        return _bare(self.words)

    def has_brands_of(self, words: tuple[str, ...]) -> bool:
        return all(word in self.words for word in words if word in _BRANDS)


def find_gpu(text: str, names: Names) -> tuple[str, ComputeCapability]:
    """Find a GPU's display name and compute capability.

    Raises UsageError `ambiguous-gpu` where cards of different compute capability, or a whole family, are meant, and
    `unknown-gpu` where none is. A compute capability above all known ones may be that of a new card.
    """
    try:
        capability = ComputeCapability.parse(text.strip().lower())
    except ValueError:
        pass
    else:
        known = {ComputeCapability.parse(one) for _, one in names}
        if capability not in known and capability < max(known, default=capability):
            raise _no_capability(text, capability, known)
        return f"compute capability {capability}", capability
    wanted = _words(text)
    meant = _meant(wanted, names) or _meant(_without_detail(wanted), names)
    if not meant:
        cards = [_card(*pair) for pair in names]
        if family := _family(wanted, cards):
            raise _ambiguous(text, family, "it is the name of a family")
        raise _unknown(text, wanted, cards)
    meant = [card for card in meant if card.capability >= _KEPLER_END] or meant
    if len({card.capability for card in meant}) > 1:
        raise _ambiguous(text, meant, "cards of different compute capability are called so")
    return _shown(text, wanted, meant), meant[0].capability


def _shown(text: str, wanted: tuple[str, ...], cards: list[_Card]) -> str:
    """Give the card's full name; what was written, where it fits several and nothing hangs on which."""
    exact = [card.name for card in cards if card.bare == _bare(wanted)]
    names = sorted(exact or {card.name for card in cards}, key=lambda name: (len(name), name))
    return names[0] if exact or len(names) == 1 else text.strip()


def _words(text: str) -> tuple[str, ...]:
    """Split a name into the words that matter: `NVIDIA GeForce GTX1080Ti` is gtx, 1080, ti."""
    chunks = "".join(char if char.isalnum() else " " for char in text.lower().replace("max-q", "maxq")).split()
    found: list[str] = []
    for chunk in chunks:
        found += _split(chunk)
    return tuple(_SAME.get(word, word) for word in found if word not in _NOISE)


def _split(chunk: str) -> list[str]:
    for prefix in _PREFIXES:
        rest = chunk.removeprefix(prefix)
        if rest and rest != chunk and (any(char.isdigit() for char in rest) or prefix == "titan"):
            return [prefix, *_split(rest)]
    for suffix in _SUFFIXES:
        rest = chunk.removesuffix(suffix)
        if rest != chunk and rest[-1:].isdigit():
            return [*_split(rest), suffix]
    return [chunk]


def _bare(words: tuple[str, ...]) -> tuple[str, ...]:
    return tuple(word for word in words if word not in _BRANDS)


def _without_detail(words: tuple[str, ...]) -> tuple[str, ...]:
    """Drop `11GB`, `11 GB` or `Max-Q` from the end: most names do not have it, and the chip is the same."""
    if words and words[-1].endswith("gb"):
        return words[: -2 if words[-1] == "gb" else -1]
    return words[:-1] if words[-1:] == ("maxq",) else ()


def _card(name: str, capability: str) -> _Card:
    return _Card(name, _words(name), ComputeCapability.parse(capability))


def _meant(wanted: tuple[str, ...], names: Names) -> list[_Card]:
    """Find the cards of exactly these words, brands aside; without an exact one, also those whose names go on."""
    bare = _bare(wanted)
    if not bare:
        return []
    # Splitting every name would cost as much as all the rest of a plan.
    cards = [_card(name, capability) for name, capability in names if bare[0] in name.lower()]
    cards = [card for card in cards if card.has_brands_of(wanted)]
    same = [card for card in cards if card.bare == bare]
    if any(card.words == wanted for card in same):
        return same
    return same + [card for card in cards if card.bare != bare and card.bare[: len(bare)] == bare]


def _family(wanted: tuple[str, ...], cards: list[_Card]) -> list[_Card]:
    """Find the cards of a family such as `GTX 900`, `RTX 30xx` or `Quadro`."""
    bare = _bare(wanted)
    if not bare:
        return [card for card in cards if wanted and card.has_brands_of(wanted)]
    if bare[0] in _ARCHITECTURES:
        first, end = _ARCHITECTURES[bare[0]]
        return [card for card in cards if first <= card.capability < end and card.has_brands_of(wanted)]
    number = bare[-1].rstrip("x")
    if not number.isdigit():
        return []
    length = len(bare[-1])
    start = number[:-2] if len(number) > 2 and number.endswith("00") else number
    return [
        card
        for card in cards
        if card.has_brands_of(wanted)
        and any(
            word.startswith(start) and word.isdigit() and (len(word) == length or length == 2 < len(word))
            for word in card.bare[:1]
        )
    ]


def _ambiguous(text: str, cards: list[_Card], why: str) -> UsageError:
    models: dict[tuple[ComputeCapability, tuple[str, ...]], str] = {}
    for card in sorted(cards, key=lambda card: (card.capability, len(card.name), card.name)):
        models.setdefault((card.capability, card.bare[:2]), f"{card.name} ({card.capability})")
    listed = list(models.values())
    shown = [listed[number * len(listed) // _SHOWN] for number in range(_SHOWN)] if len(listed) > _SHOWN else listed
    return UsageError(
        f"--gpu {text!r} does not say which GPU",
        code="ambiguous-gpu",
        cause=f"{why}: {', '.join(shown)}" + (", ..." if len(listed) > _SHOWN else ""),
        hints=(f"give the full name of one, or its compute capability, such as --gpu {cards[0].capability}",),
    )


def _unknown(text: str, wanted: tuple[str, ...], cards: list[_Card]) -> UsageError:
    import difflib

    known = {"".join(words): card.name for card in cards for words in (card.bare, card.words)}
    near = _within(wanted, cards)
    near += [known[key] for key in difflib.get_close_matches("".join(wanted), known, n=_SHOWN, cutoff=0.6)]
    return UsageError(
        f"no NVIDIA GPU is known by the name {text!r}",
        code="unknown-gpu",
        cause=f"the nearest names: {', '.join(list(dict.fromkeys(near))[:_SHOWN])}" if near else "",
        hints=("give its compute capability instead, such as --gpu 6.1 for the GTX 10 series",),
    )


def _within(wanted: tuple[str, ...], cards: list[_Card]) -> list[str]:
    """Name the cards whose words are all among those written (`1080 ti founders edition`), or the other way round."""
    words = frozenset(_bare(wanted))
    shared: dict[str, int] = {}
    for card in cards:
        own = frozenset(card.bare)
        if own and words and (own <= words or words <= own) and any(len(word) > 1 for word in own & words):
            shared[card.name] = len(own & words) - len(own ^ words)
    return sorted(shared, key=lambda name: (-shared[name], len(name), name))[: _SHOWN // 2]


def _no_capability(text: str, capability: ComputeCapability, known: set[ComputeCapability]) -> UsageError:
    below = max((one for one in known if one < capability), default=None)
    above = min((one for one in known if one > capability), default=None)
    return UsageError(
        f"no NVIDIA GPU has compute capability {text.strip()}",
        code="unknown-gpu",
        cause=f"the nearest are {' and '.join(str(one) for one in (below, above) if one)}",
        hints=("give the name of the card instead, such as --gpu 'GTX 1080 Ti'",),
    )
