"""
The local audit as a chain: each entry holds the hash of the one before, so that none can be changed, taken out, put in
or moved without every later hash being wrong.

What a chain alone cannot show: that its end was cut off, or that all of it was written anew by somebody who knows how.
Both are found by a head that was noted elsewhere (the log has it), which must then be found in the chain.
"""

from __future__ import annotations

import json
from dataclasses import dataclass
from enum import Enum
from typing import TYPE_CHECKING, Any

from watchdog.core.canonical import canonical, sha256_of, us

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping
    from datetime import datetime

# The first entry has no one before it.
NO_HASH = "0" * 64
GENESIS = "genesis"


class Break(Enum):
    """What is wrong with a chain."""

    EMPTY = "empty"  # there is not even the first entry
    CHANGED = "changed"  # an entry is not what its hash says
    REMOVED = "removed"  # numbers are missing
    INSERTED = "inserted"  # a number that comes twice, or out of its order
    UNLINKED = "unlinked"  # it does not follow from the one before: one of them was written anew
    TRUNCATED = "truncated"  # the end is missing
    UNKNOWN_HEAD = "unknown_head"  # the head that was kept elsewhere is not in it
    ROW = "row"  # the chain is whole, and a row that it vouches for is another


@dataclass(frozen=True, kw_only=True)
class Entry:
    """
    Attributes:
        seq: 1, 2, 3, ... without a gap.
        actor: who did it: `watchdog`, or the person that gave a command.
        kind: what happened, in the past tense.
        subject: id of the watch or incident; empty where it is about neither.
        detail: canonical JSON.
    """

    seq: int
    at: datetime
    actor: str
    kind: str
    subject: str
    detail: str
    prev_hash: str
    hash: str

    @property
    def value(self) -> dict[str, Any]:
        """The detail, read."""
        read: dict[str, Any] = json.loads(self.detail)
        return read


@dataclass(frozen=True, kw_only=True)
class Head:
    """The last entry of a chain; seq 0 before the first."""

    seq: int = 0
    hash: str = NO_HASH


@dataclass(frozen=True, kw_only=True)
class Fact:
    """What is to be entered."""

    at: datetime
    kind: str
    subject: str
    detail: Mapping[str, Any]
    actor: str = "watchdog"


@dataclass(frozen=True, kw_only=True)
class Checked:
    """
    What became of a look at the whole chain.

    Attributes:
        n: entries that were looked at, up to the broken one.
        head: of what is whole.
        broken: None when all of it is.
        at: number of the first entry that is wrong; None where none is there to be named.
        why: one sentence.
    """

    n: int
    head: Head
    broken: Break | None = None
    at: int | None = None
    why: str = ""


def following(head: Head, fact: Fact) -> Entry:
    """The entry that follows."""
    seq, detail = head.seq + 1, canonical(dict(fact.detail))
    link = _hash(seq, fact.at, fact.actor, fact.kind, fact.subject, detail, head.hash)
    return Entry(
        seq=seq,
        at=fact.at,
        actor=fact.actor,
        kind=fact.kind,
        subject=fact.subject,
        detail=detail,
        prev_hash=head.hash,
        hash=link,
    )


def hash_of(entry: Entry) -> str:
    """What the entry's hash has to be."""
    return _hash(entry.seq, entry.at, entry.actor, entry.kind, entry.subject, entry.detail, entry.prev_hash)


def verify(entries: Iterable[Entry], *, noted: Head | None = None, kept: str = "") -> Checked:
    """
    Walk the chain from its first entry.

    Args:
        entries: by their numbers, ascending.
        noted: the head as the database itself notes it; None where it notes none.
        kept: a head that somebody kept elsewhere, or the beginning of one; empty for none.

    Returns: whole, or where it breaks first.
    """
    head = Head()
    found = not kept
    for entry in entries:
        if broken := _misplaced(head, entry):
            return Checked(n=head.seq, head=head, broken=broken[0], at=entry.seq, why=broken[1])
        if entry.hash != hash_of(entry):
            why = f"entry {entry.seq} ({entry.kind}) is not what its hash says: it was changed after it was written"
            return Checked(n=head.seq, head=head, broken=Break.CHANGED, at=entry.seq, why=why)
        head = Head(seq=entry.seq, hash=entry.hash)
        found = found or entry.hash.startswith(kept.lower())
    return _ended(head, noted, kept, found)


def _misplaced(head: Head, entry: Entry) -> tuple[Break, str] | None:
    wanted = head.seq + 1
    if entry.seq > wanted:
        lost = f"entry {wanted} is" if entry.seq == wanted + 1 else f"entries {wanted} to {entry.seq - 1} are"
        return Break.REMOVED, f"{lost} missing: removed after being written"
    if entry.seq < wanted:
        return Break.INSERTED, f"entry {entry.seq} stands where {wanted} must: inserted, or moved"
    if entry.prev_hash != head.hash:
        before = (
            "the first entry names one before it"
            if head.seq == 0
            else f"it names another one before it than {head.seq}"
        )
        what = "Entries were exchanged, inserted or written anew"
        return Break.UNLINKED, f"entry {entry.seq} ({entry.kind}) does not follow: {before}. {what}"
    if head.seq == 0 and entry.kind != GENESIS:
        return Break.REMOVED, f"the chain begins with {entry.kind!r}, not with {GENESIS!r}: its beginning was removed"
    return None


def _ended(head: Head, noted: Head | None, kept: str, found: bool) -> Checked:
    if head.seq == 0:
        why = "there is no entry, not even the first: all of them were removed"
        return Checked(n=0, head=head, broken=Break.EMPTY, why=why)
    if noted is not None and noted != head:
        what = (
            f"the chain ends with entry {head.seq}, and the database noted {noted.seq}, {noted.hash[:12]}, as the last"
        )
        return Checked(n=head.seq, head=head, broken=Break.TRUNCATED, at=head.seq, why=f"{what}: the end was cut off")
    if not found:
        what = "the end was cut off, or the chain was written anew"
        why = f"no entry has the hash {kept}, which was kept elsewhere: {what}"
        return Checked(n=head.seq, head=head, broken=Break.UNKNOWN_HEAD, at=head.seq, why=why)
    return Checked(n=head.seq, head=head)


def _hash(seq: int, at: datetime, actor: str, kind: str, subject: str, detail: str, prev_hash: str) -> str:
    return sha256_of([seq, us(at), actor, kind, subject, detail, prev_hash])
