"""The edge to ``ksctl``: its answers as objects, rows and fields; error bodies and what is too long are refused."""

from __future__ import annotations

import json
from collections.abc import Mapping

from ctmupgrade.core.json_text import BadJsonError, read_first_array, read_first_object
from ctmupgrade.core.looks.answer_fields import BACKUP_ID, NODE_ID, Json, whole
from ctmupgrade.core.looks.excerpt import NotUnderstoodError, excerpt

MOST_ROWS = 10_000  # of one answer; the longest page that is asked for has 256
MOST_FIELD = 1_000  # characters of one field's text


def json_object(text: str) -> Json:
    """Return the one JSON object in ``text`` (a prompt or notice may stand before it).

    :raises NotUnderstoodError: none, cut short, with two readings (:mod:`ctmupgrade.core.json_text`), or an error body
        (``codeDesc``, docs/appliance.md 4.1).
    """
    if "{" not in text:
        said = excerpt(text)
        raise NotUnderstoodError("no JSON in the answer" if said else "no JSON in the answer: empty", said)
    try:
        value: Json = read_first_object(text)
    except BadJsonError as error:
        raise NotUnderstoodError(str(error), excerpt(text)) from None
    if "codeDesc" in value or (value and set(value) <= {"code", "message", "error"}):
        raise NotUnderstoodError("the answer is an error", error_text(value), is_error=True)
    return value


def error_text(body: Mapping[str, object]) -> str:
    """Return ``codeDesc`` and ``message`` of an error body on one line."""
    parts = [str(body[key]) for key in ("codeDesc", "message", "error") if body.get(key)]
    return excerpt("; ".join(parts) or json.dumps(body))


def listing(text: str) -> Json:
    """Return a listing as an object with ``resources``; some calls answer a bare array instead (`cluster errors`, docs/appliance.md 4.2).

    :raises NotUnderstoodError: as :func:`json_object`.
    """
    array, brace = text.find("["), text.find("{")
    if array < 0 or 0 <= brace < array:
        return json_object(text)
    try:
        rows = read_first_array(text)
    except BadJsonError:
        return json_object(text)  # a bracket in a notice before it
    return {"resources": rows, "total": len(rows)}


def rows_of(value: Json) -> list[Json]:
    """Return the rows of a listing. One that is no row might be what is looked for: it is not left out.

    :raises NotUnderstoodError: there is no list of them, one that is too long, or something else among them.
    """
    rows = value.get("resources")
    if rows is None and "resources" in value:
        return []  # Go's nil slice: an empty list printed as null
    if not isinstance(rows, list):
        raise NotUnderstoodError("no list of resources", excerpt(json.dumps(value)))
    if len(rows) > MOST_ROWS:
        raise NotUnderstoodError(f"a list of {len(rows)} rows")
    strange = next((row for row in rows if not isinstance(row, dict)), value)
    if strange is not value:
        raise NotUnderstoodError("not a row of a list", excerpt(json.dumps(strange)))
    return rows


def field_text(value: object) -> str:
    """Return a field's text, on one line: none of those that are read here has several."""
    if type(value) is str and not value[MOST_FIELD:] and "\n" not in value:
        return value  # as nearly all are
    return "" if value is None else excerpt(str(value), MOST_FIELD)


def node_id(value: object) -> str:
    """Return an id of a node. It goes into command lines, also those that a person copies.

    :raises NotUnderstoodError: it has other characters than an id.
    """
    text = "" if value is None else str(value)
    if not NODE_ID.fullmatch(text):
        raise NotUnderstoodError("not an id of a node", excerpt(repr(text)))
    return text


def backup_id(value: object) -> str:
    """Return an id of a backup or of a backup key. It goes into names of files and into command lines.

    :raises NotUnderstoodError: it has other characters than an id.
    """
    text = "" if value is None else str(value)
    if not BACKUP_ID.fullmatch(text):
        raise NotUnderstoodError("not an id of a backup or of its key", excerpt(repr(text)))
    return text


def total_of(text: str) -> tuple[int, int]:
    """Return (rows in this page, total) of a listing."""
    value = listing(text)
    rows = rows_of(value)
    total = whole(value.get("total"))
    return len(rows), total if total is not None else len(rows)
