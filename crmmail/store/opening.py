"""Opening the two files: making them, leading them up, and what to do with damaged ones."""

from __future__ import annotations

import sqlite3
from collections.abc import Mapping
from pathlib import Path

from crmmail.errors import StoreError
from crmmail.i18n import _
from crmmail.store import connections, faults, files, salvage, schema


def open_writer(directory: Path, notices: list[str], *, distrust_cache: bool = False) -> sqlite3.Connection:
    """The writer connection on sound, current files. What had to be repaired is told in `notices`."""
    files.prepare(directory)
    if distrust_cache:
        _put_cache_aside(directory, notices)
    _check_desk(directory, notices)
    try:
        return _open(directory)
    except faults.BROKEN as error:
        if not faults.is_damage(error):
            raise
        _put_cache_aside(directory, notices)
        return _open(directory)


def _put_cache_aside(directory: Path, notices: list[str]) -> None:
    files.put_aside(directory, files.CACHE)
    files.prepare(directory)
    notices.append(_("The local copy was damaged and is downloaded again. Nothing you did is lost."))


def _check_desk(directory: Path, notices: list[str]) -> None:
    """Salvage a damaged desk row by row, then make it current."""
    path = directory / files.DESK
    try:
        sound = salvage.is_sound(path)
    except faults.BROKEN as error:
        raise faults.explain(error) from error
    if not sound:
        aside = files.put_aside(directory, files.DESK)
        files.prepare(directory)
        desk = _current_desk(path)
        saved, lost = salvage.rescue(aside, desk)
        desk.close()
        notices.append(
            _("The journal of your actions was damaged: {saved} entries were saved, {lost} could not be read.").format(
                saved=saved, lost=lost
            )
        )
        return
    _current_desk(path).close()


def _current_desk(path: Path) -> sqlite3.Connection:
    desk = connections.connect(path)
    try:
        _lead(desk, schema.DESK, schema.DESK_VERSION, schema.DESK_STEPS)
    except BaseException:
        desk.close()
        raise
    return desk


def _lead(connection: sqlite3.Connection, script: str, current: int, steps: Mapping[int, schema.Step]) -> None:
    """Make or migrate the main database of `connection`; refuse one that is newer than we are."""
    schema.refuse_newer(connection, "main", current)
    found = schema.version(connection, "main")
    if found == 0:
        schema.create(connection, "main", script, current)
    elif found < current:
        schema.migrate(connection, current, steps)


def _open(directory: Path) -> sqlite3.Connection:
    cache = connections.connect(directory / files.CACHE)
    try:
        _lead(cache, schema.CACHE.replace("cache.", "main."), schema.CACHE_VERSION, schema.CACHE_STEPS)
    finally:
        cache.close()
    writer = connections.connect(directory / files.DESK)
    try:
        connections.attach_cache(writer, directory, readonly=False)
        connections.tune_writer(writer)
        writer.execute("SELECT * FROM folder LIMIT 1").fetchall()
    except BaseException:
        writer.close()
        raise
    return writer


def check_readable(directory: Path) -> None:
    """For a read-only instance: both files are there and of our version; nothing is written."""
    for name, current in ((files.DESK, schema.DESK_VERSION), (files.CACHE, schema.CACHE_VERSION)):
        path = directory / name
        if not path.exists():
            raise StoreError(_("There is no local copy yet."), next_step=_("Start crmmail once without read-only."))
        try:
            connection = connections.connect(path, readonly=True)
            try:
                schema.refuse_newer(connection, "main", current)
                if schema.version(connection, "main") < current:
                    raise StoreError(
                        _("The local copy was written by an older version of crmmail."),
                        next_step=_("Start crmmail once without read-only."),
                    )
            finally:
                connection.close()
        except faults.BROKEN as error:
            raise faults.explain(error) from error
