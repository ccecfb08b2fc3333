"""What is shown of each column's values: the masks of all rules that mean it, joined upward."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from urllib.parse import quote

from raymesh.governance.matching import Shape, plain_tag
from raymesh.governance.model import Policy, Target
from raymesh.governance.predicate import folded
from raymesh.spec.mask import Mask, Null, Raw, Token, fitting, join

TOKENS = "raymesh/token/v1"


@dataclass(frozen=True, slots=True)
class Shown:
    """How a column is shown, because of which rules; `conflict`: their masks have nothing in common but NULL."""

    mask: Mask
    rules: tuple[str, ...]
    conflict: bool = False


@dataclass(slots=True)
class _Joined:
    """Masks joined so far; `hides` says that one of them already was NULL."""

    mask: Mask = field(default_factory=Raw)
    rules: list[str] = field(default_factory=list)
    hides: bool = False

    def add(self, mask: Mask, rule: str) -> None:
        self.mask = join(self.mask, mask)
        self.hides = self.hides or isinstance(mask, Null)
        self.rules.append(rule)


@dataclass(slots=True)
class Masks:
    """The masks that hold for one reader and one target, filed so that many columns are quick."""

    shape: Shape
    everywhere: _Joined = field(default_factory=_Joined)
    by_tag: dict[str, _Joined] = field(default_factory=dict)
    by_column: dict[int, _Joined] = field(default_factory=dict)
    memo: dict[frozenset[str], _Joined] = field(default_factory=dict)

    def add(self, policy: Policy, lifted: frozenset[int]) -> None:
        """`lifted` are columns that an exception takes out of the policy."""
        mask, what = policy.mask, policy.what
        assert mask is not None  # noqa: S101  # the index calls a mask rule without mask unsound
        if lifted or (what.tags and what.columns):
            for n in self.shape.hit(policy) - lifted:
                self.by_column.setdefault(n, _Joined()).add(mask, policy.name)
        elif what.tags:
            for tag in what.tags:
                word = plain_tag(tag)
                if word in self.shape.by_tag:
                    self.by_tag.setdefault(word, _Joined()).add(mask, policy.name)
        elif what.columns:
            for name in {folded(c) for c in what.columns} & self.shape.by_name.keys():
                self.by_column.setdefault(self.shape.by_name[name], _Joined()).add(mask, policy.name)
        else:
            self.everywhere.add(mask, policy.name)

    def of(self, column: int, target: Target, purpose: str | None) -> Shown:
        """How column number `column` is shown."""
        joined, own = self._of_tags(self.shape.facts[column].meant), self.by_column.get(column)
        return self._shown(column, joined if own is None else _both(joined, own), target, purpose)

    def _shown(self, column: int, joined: _Joined, target: Target, purpose: str | None) -> Shown:
        mask = joined.mask
        if isinstance(mask, Raw):
            return Shown(mask, ())
        conflict = isinstance(mask, Null) and not joined.hides
        if isinstance(mask, Token):
            tag = self.shape.facts[column].token_tag
            mask = Token(token_context(tag, self.shape.names[column], target.domain, purpose))
        rules = tuple(sorted(set(joined.rules)))
        return Shown(fitting(mask, target.columns[column].type), rules, conflict)

    def _of_tags(self, meant: frozenset[str]) -> _Joined:
        found = self.memo.get(meant)
        if found is None:
            found = self.everywhere
            for tag in sorted(meant & self.by_tag.keys()):
                found = _both(found, self.by_tag[tag])
            self.memo[meant] = found
        return found


def _both(a: _Joined, b: _Joined) -> _Joined:
    return _Joined(join(a.mask, b.mask), [*a.rules, *b.rules], a.hides or b.hides)


def token_context(tag: str, column: str, domain: str, purpose: str | None) -> str:
    """What the key of a column's tokens is derived from.

    It follows from the column, never from the policy, so two policies that ask for tokens agree. Columns with
    the same tag in one domain have comparable tokens for the same purpose; a column without tags is by itself.
    """
    about = tag or f"column:{column}"
    parts = (about, purpose or "", domain)
    return "|".join((TOKENS, *(quote(p, safe=".:_- ") for p in parts)))


def masks_for(shape: Shape, rules: Iterable[Policy], lifted: Mapping[str, frozenset[int]]) -> Masks:
    """The masks of `rules`; `lifted` maps names of rules to columns that exceptions take out of them."""
    masks = Masks(shape)
    for rule in rules:
        masks.add(rule, lifted.get(rule.name, frozenset()))
    return masks
