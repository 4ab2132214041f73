"""Rows of the tables of bad input."""

from __future__ import annotations

from dataclasses import dataclass, field


@dataclass
class Bad:
    """One command that cannot work: what it is called, its exit code, its message and its hint, and its options."""

    name: str
    code: int
    message: str
    hint: str
    options: list[str] = field(default_factory=list)
