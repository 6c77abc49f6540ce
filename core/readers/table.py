"""Tables: which column is for what."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from core.readers.errors import DataError, RowError, shown
from core.readers.options import ReadLimits, ReadOptions, Role
from core.readers.side_columns import SIDE_ROLES
from core.readers.streams import is_text
from core.schema import Column

TARGET_NAMES = ("label", "target", "y")
MAX_NAME = 200


@dataclass(frozen=True)
class Roles:
    """What each column of a table is for, by position."""

    names: tuple[str, ...]
    roles: tuple[Role, ...]
    named: bool  # the names come from the file, not from counting

    def of(self, role: Role) -> list[int]:
        """The positions of the columns that have a role."""
        return [position for position, given in enumerate(self.roles) if given == role]

    def columns(self) -> tuple[tuple[int, Column], ...]:
        """(position, column) of what the schema lists: all that are used, or without names only side columns."""
        return tuple(
            (position, Column(name=name, role=role))
            for position, (name, role) in enumerate(zip(self.names, self.roles, strict=True))
            if role != "ignore" and (self.named or role in SIDE_ROLES)
        )


def assign_roles(names: Sequence[str] | None, width: int, options: ReadOptions, limits: ReadLimits) -> Roles:
    """Give each of `width` columns its role; raises DataError where names and options do not go together."""
    if width > limits.max_columns:
        raise DataError(f"The table has more than {limits.max_columns:,} columns: upload such data as NPZ.")
    if names is not None:
        _check_names(names)
    known = tuple(names) if names is not None else tuple(str(position) for position in range(width))
    for name in options.columns:
        if name not in known:
            raise _option_error(f"There is no column {shown(name)}{_known(known)}.", "/options/columns")
    roles: list[Role] = [options.columns.get(name, "feature") for name in known]
    targets = [position for position, role in enumerate(roles) if role == "target"]
    asked = options.target_column
    if asked is not None:
        position = _position(asked, known)
        if targets not in ([], [position]):
            raise _option_error(
                "options.columns and options.target.column name different targets: keep one of them.",
                "/options/target/column",
            )
        roles[position] = "target"
    elif not targets:
        roles[_default_target(known, roles)] = "target"
    if "feature" not in roles:
        hint = " (with one column only, perhaps options.delimiter is wrong)" if width == 1 else ""
        raise DataError(f"No column is left for the features: a table needs a target and at least one more{hint}.")
    return Roles(known, tuple(roles), names is not None)


def _check_names(names: Sequence[str]) -> None:
    seen: set[str] = set()
    for position, name in enumerate(names):
        if not name:
            raise DataError(
                f"Column {position + 1} has no name in the header: name it, or remove it "
                "(pandas leaves its index out with to_csv(index=False))."
            )
        if not is_text(name) or len(name) > MAX_NAME:
            raise DataError(
                f"The name of column {position + 1}, {shown(name)}, is not UTF-8 text of at most {MAX_NAME} "
                "characters: shorten it, or set options.header to false if the first row holds data."
            )
        if name in seen:
            raise DataError(f"Two columns have the name {shown(name)}: give each a name of its own.")
        seen.add(name)


def _position(asked: int | str, names: Sequence[str]) -> int:
    if isinstance(asked, str):
        if asked in names:
            return names.index(asked)
        detail = f"There is no column {shown(asked)}{_known(names)}."
    else:
        if -len(names) <= asked < len(names):
            return asked % len(names)
        detail = f"There is no column at position {asked}: the {len(names)} columns are counted from 0."
    raise _option_error(detail, "/options/target/column")


def _default_target(names: Sequence[str], roles: Sequence[Role]) -> int:
    folded = [name.casefold() for name in names]
    for name in TARGET_NAMES:
        if name in folded and roles[folded.index(name)] == "feature":
            return folded.index(name)
    features = [position for position, role in enumerate(roles) if role == "feature"]
    if not features:
        raise DataError("No column is left for the target: give one the role target in options.columns.")
    return features[-1]


def _known(names: Sequence[str]) -> str:
    return f"; the columns are {', '.join(shown(name) for name in names[:12])}{', ...' if len(names) > 12 else ''}"


def _option_error(detail: str, pointer: str) -> DataError:
    return DataError(detail, [RowError(detail, pointer=pointer)])
