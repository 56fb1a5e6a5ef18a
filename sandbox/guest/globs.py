"""Which paths a glob names: `*` is any characters but `/`, `**` any, `?` is one but `/`, and `**/` may be nothing.

Everything else stands for itself. A path takes a step for each of its characters, whatever the glob: all places where
the glob may be at once are the bits of a number.
"""

from __future__ import annotations


class Glob:
    """One glob, made ready. Bit n of each number is about its place n, the last one being its end."""

    def __init__(self, text: str) -> None:
        self.optional = self.skips_two = 0  # places that may be left out; those with which the next one goes, too
        self.stays_in_name = self.stays = 0  # where any character but `/`, or any, leads to the same place again
        self.any_in_name = 0  # where any character but `/` leads on
        self.literal: dict[str, int] = {}  # where this character leads on
        self.end = 0
        while text:
            text = text[self._add(text) :]

    def _add(self, text: str) -> int:
        """Take what the text begins with; how many characters that is."""
        stars = len(text) - len(text.lstrip("*"))
        bit = 1 << self.end
        if stars > 1 and text[stars : stars + 1] == "/" and self.is_at_start_of_name:
            # Nothing at all, or anything that ends with a slash.
            self.skips_two |= bit
            self.optional |= bit
            self.stays |= bit << 1
            self._lead_on("/", bit << 1)
            self.end += 2
            return stars + 1
        if stars:
            self.optional |= bit
            self.stays |= bit if stars > 1 else 0
            self.stays_in_name |= bit
        elif text[0] == "?":
            self.any_in_name |= bit
        else:
            self._lead_on(text[0], bit)
        self.end += 1
        return stars or 1

    @property
    def is_at_start_of_name(self) -> bool:
        return not self.end or bool(self.literal.get("/", 0) >> (self.end - 1) & 1)

    def _lead_on(self, character: str, bit: int) -> None:
        self.literal[character] = self.literal.get(character, 0) | bit

    def matches(self, path: str) -> bool:
        places = self._with_skipped(1)
        for character in path:
            on, same = self.literal.get(character, 0), self.stays
            if character != "/":
                on, same = on | self.any_in_name, same | self.stays_in_name
            places = self._with_skipped((places & on) << 1 | places & same)
        return bool(places >> self.end & 1)

    def _with_skipped(self, places: int) -> int:
        before = -1
        while places != before:
            before = places
            places |= (places & self.optional) << 1 | (places & self.skips_two) << 2
        return places
