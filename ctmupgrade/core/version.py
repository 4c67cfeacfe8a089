"""Versions of the appliance: how they are written, which are equal, which are betas."""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import Self

NAMED_VERSION = re.compile(
    r"(?:_v|ks_upgrade_)(\d{1,9}\.\d{1,9}\.\d{1,9}(?:-(?:alpha|beta|rc)\d{0,4})?(?:\+\d{1,15})?)(?!\d)",
    re.ASCII,
)  # in an archive's name
_VERSION = re.compile(
    r"^v?(\d{1,9})\.(\d{1,9})\.(\d{1,9})(?:\+(\d{1,15}))?(?:[-_. ]?([A-Za-z][\w.-]{0,63}))?(?:\+(\d{1,15}))?$",
    re.ASCII,
)


_BETA = re.compile(
    r"(?:alpha|beta|rc|dev|pre|preview|snapshot|ea|nightly)[-_.]?\d{0,9}(?![a-z0-9])",
    re.IGNORECASE | re.ASCII,
)


@dataclass(frozen=True, slots=True, order=False)
class Version:
    """``X.Y.Z`` with an optional build and suffix.

    Only X.Y.Z is compared: the build of the same release differs between ``ksctl`` and the
    server (captured on 2.19.0), and an archive's name may have none.
    """

    major: int
    minor: int
    patch: int
    build: int | None = None
    suffix: str = ""

    @classmethod
    def parse(cls, text: str) -> Self:
        """Read a version. :raises ValueError: not of the form X.Y.Z, X.Y.Z+BUILD or X.Y.Z-suffix."""
        found = _VERSION.match(text.strip())
        if not found:
            raise ValueError(f"{text!r} is not a version: X.Y.Z or X.Y.Z+BUILD is expected")
        major, minor, patch, build, suffix, late_build = found.groups()
        number = build or late_build
        return cls(int(major), int(minor), int(patch), int(number) if number else None, suffix or "")

    @property
    def release(self) -> tuple[int, int, int]:
        """Return what is compared."""
        return (self.major, self.minor, self.patch)

    @property
    def beta(self) -> str:
        """Return which beta of X.Y.Z it is ("beta7"); "" for a release. What else may follow (LTS, tct) is one."""
        return self.suffix.lower() if _BETA.match(self.suffix) else ""

    @property
    def identity(self) -> tuple[int, int, int, str]:
        """Return what tells two versions apart whatever their builds are: a beta of X.Y.Z is not X.Y.Z."""
        return (*self.release, self.beta)

    @property
    def line(self) -> tuple[int, int]:
        """Return major and minor: the release line."""
        return (self.major, self.minor)

    def same_release(self, other: Version) -> bool:
        """Return the same X.Y.Z, or the same beta of it; builds are compared only where both are known. Those of betas have a
        range of their own (docs/appliance.md 2), so a beta's is never compared with a release's."""
        if self.identity != other.identity:
            return False
        return self.build is None or other.build is None or self.build == other.build

    @property
    def short(self) -> str:
        """Return ``X.Y.Z``, as the vendor's success line begins."""
        return f"{self.major}.{self.minor}.{self.patch}"

    def __str__(self) -> str:
        build = f"+{self.build}" if self.build is not None else ""
        suffix = f"-{self.suffix}" if self.suffix else ""
        return f"{self.short}{suffix}{build}"


def reached(current: Version, target: Version) -> bool:
    """Return whether a node needs nothing any more."""
    return current.same_release(target)
