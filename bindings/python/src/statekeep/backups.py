"""Backups of a state: create, list, show, pin, verify, compare, restore."""

from __future__ import annotations

import os
from collections.abc import Callable, Mapping, Sequence
from datetime import datetime, timedelta
from typing import TYPE_CHECKING, Any, Literal

from ._ffi import call, document, handle, lib, name, options
from ._time import unix_ms
from .backup_reports import (
    Backup,
    BackupDiff,
    CleanupReport,
    DeletedBackup,
    PruneReport,
    RepositoryKey,
    RepositoryReport,
    RestoreReport,
    Strays,
    VerifyReport,
    problem_text,
)
from .operation import ProgressCallback, finish
from .policies import Policy, register, reraise, unregister

if TYPE_CHECKING:
    from .state import State


class Backups:
    """The backups of a state."""

    def __init__(self, state: State) -> None:
        self._state = state

    def create(
        self,
        *,
        label: str = "",
        tags: Sequence[str] = (),
        codec: str | None = None,
        level: int | None = None,
        pin: bool = False,
        incremental: bool | None = None,
        history: bool | None = None,
        synthetic: bool = False,
        from_backup: str | Backup | None = None,
        limit_rate: int = 0,
        progress: ProgressCallback | None = None,
    ) -> Backup:
        """A backup of one instant; writers go on. `progress` is called on this thread.

        An incremental one has only what changed since the last; where that cannot be, a full one is
        made, and its `full_reason` says why. With history any point of the kept past is in it. `None`
        is as configured. `limit_rate` is the most bytes a second that are written, 0 as configured.

        A synthetic one is a full backup merged from the newest one, or `from_backup`, and all that it
        stands on, without reading the state; `merged_from` says which.
        """
        asked = options(
            {
                "tags": list(tags),
                "label": label or None,
                "codec": codec,
                "level": level,
                "pin": pin or None,
                "incremental": incremental,
                "history": history,
                "synthetic": synthetic or None,
                "from": from_backup.id if isinstance(from_backup, Backup) else from_backup,
            }
        )
        return Backup.of(self._run(lib.statekeep_backup_create_start, asked, progress, limit_rate))

    def list(self) -> list[Backup]:
        """All backups, oldest first; what cannot be read is in `problems`."""
        rows = document(lib.statekeep_backup_list_json, self._state.handle)["backups"]
        return [Backup.of(row) for row in rows]

    def problems(self) -> tuple[str, ...]:
        """Manifests that cannot be used, and what does not belong among them; `check` looks further."""
        rows = document(lib.statekeep_backup_list_json, self._state.handle)["problems"]
        return tuple(problem_text(row) for row in rows)

    def show(self, backup: str | Backup) -> Backup:
        """One backup, whole."""
        return Backup.of(document(lib.statekeep_backup_show_json, self._state.handle, *_id(backup)))

    def pin(self, backup: str | Backup) -> None:
        """Keeps a backup from every retention policy."""
        call(lib.statekeep_backup_pin, self._state.handle, *_id(backup))

    def unpin(self, backup: str | Backup) -> None:
        """Takes a backup's pin away."""
        call(lib.statekeep_backup_unpin, self._state.handle, *_id(backup))

    def verify(
        self,
        backup: str | Backup,
        *,
        quick: bool = False,
        restore_test: bool = False,
        limit_rate: int = 0,
        progress: ProgressCallback | None = None,
    ) -> VerifyReport:
        """Reads and checks a backup: every byte, or with `quick` only manifest and sizes.

        `restore_test` also restores it where nobody sees it, and compares what is there."""
        level = lib.STATEKEEP_VERIFY_FULL
        if quick:
            level = lib.STATEKEEP_VERIFY_QUICK
        elif restore_test:
            level = lib.STATEKEEP_VERIFY_RESTORE_TEST
        row = self._run(lib.statekeep_backup_verify_start, (*_id(backup), level), progress, limit_rate)
        return VerifyReport(
            is_valid=row["is_valid"],
            checksum_valid=row["checksum_valid"],
            integrity_valid=row["integrity_valid"],
            errors=[problem_text(problem) for problem in row["errors"]],
            warnings=[problem_text(problem) for problem in row["warnings"]],
            records=row["records"],
        )

    def schedule(self) -> dict[str, Any]:
        """When backups are made of themselves, and how that goes: `enabled`, `next_run_unix_ms`,
        `last_run`, `last_error`, `runs`, `failures` and more; settings `backup.every` or
        `backup.daily_at`. The same of cleanups is in `cleanups`; settings `retention.every` or
        `retention.daily_at`."""
        found: dict[str, Any] = document(lib.statekeep_backup_schedule_json, self._state.handle)
        return found

    def ranges(self) -> dict[str, Any]:
        """Which moments can be restored, and every gap between: `timelines` with `ranges`, `gaps`."""
        found: dict[str, Any] = document(lib.statekeep_backup_ranges_json, self._state.handle)
        return found

    def restore(
        self,
        backup: str | Backup | None = None,
        *,
        to: datetime | None = None,
        to_sequence: int | None = None,
        timeline: str | None = None,
        tenant: str | None = None,
        scope: str | None = None,
        key: str | None = None,
        mode: Literal["replace", "merge"] | None = None,
        dry_run: bool = False,
        safety_backup: bool = True,
        to_dir: str | os.PathLike[str] | None = None,
        backend: str | None = None,
        backend_options: Mapping[str, Any] | None = None,
        limit_rate: int = 0,
        progress: ProgressCallback | None = None,
    ) -> RestoreReport:
        """Restores a backup, all or nothing; open handles stay valid.

        In place of a backup, `to` or `to_sequence` names a moment, and the smallest backup that has it
        is read; `timeline` names a past that is not the state's own. `tenant`, `scope` and `key`
        (patterns) restore a part, in a `mode`. `dry_run` only tells what would change. `safety_backup`
        backs up the state before. `backend` moves the state to another backend; with `to_dir` a new
        state is made there, and this one stays as it is."""
        chosen = {
            "to_time_unix_ms": None if to is None else unix_ms(to),
            "to_sequence": to_sequence,
            "timeline": timeline,
            "tenant": tenant,
            "scope": scope,
            "key": key,
            "mode": mode,
            "dry_run": dry_run,
            "safety_backup": safety_backup,
            "to_dir": None if to_dir is None else os.fspath(to_dir),
            "backend": backend,
            "backend_options": None if backend_options is None else dict(backend_options),
        }
        asked = *(_id(backup) if backup is not None else (b"", 0)), *options(chosen)
        row = self._run(lib.statekeep_backup_restore_start, asked, progress, limit_rate)
        named = (name for name in RestoreReport.__dataclass_fields__ if name != "report")
        return RestoreReport(**{name: row[name] for name in named}, report=row)

    def diff(
        self,
        backup: str | Backup,
        to: str | Backup | None = None,
        *,
        tenant: str | None = None,
        scope: str | None = None,
        key: str | None = None,
        progress: ProgressCallback | None = None,
    ) -> BackupDiff:
        """What became of the records of a backup until another one, or until now."""
        later = to.id if isinstance(to, Backup) else to
        chosen = {"to": later, "tenant": tenant, "scope": scope, "key": key}
        asked = *_id(backup), *options(chosen)
        row = self._run(lib.statekeep_backup_diff_start, asked, progress)
        return BackupDiff(**{name: row[name] for name in BackupDiff.__dataclass_fields__})

    def check(self, *, progress: ProgressCallback | None = None) -> RepositoryReport:
        """Checks the repository as a whole: what is missing, damaged, foreign or left over. Records
        are not read; `verify` reads them."""
        row = self._run(lib.statekeep_repository_check_start, (), progress)
        return RepositoryReport(
            is_valid=row["is_valid"],
            encrypted=row["encrypted"],
            unread_bytes=row["unread_bytes"],
            backups=row["backups"],
            problems=[problem_text(problem) for problem in row["problems"]],
            strays=Strays.of(row["strays"]),
            undecided=row["undecided"],
            warnings=row["warnings"],
            report=row,
        )

    def prune_strays(
        self, *, dry_run: bool = True, progress: ProgressCallback | None = None
    ) -> PruneReport:
        """Removes what no manifest leads to and whose writer is gone; unless told to, only tells."""
        asked = options({"dry_run": dry_run})
        row = self._run(lib.statekeep_repository_prune_strays_start, asked, progress)
        return PruneReport(
            dry_run=row["dry_run"],
            would_remove=Strays.of(row["would_remove"]),
            removed=Strays.of(row["removed"]),
            undecided=row["undecided"],
        )

    def repair(self, *, progress: ProgressCallback | None = None) -> dict[str, Any]:
        """Finishes what crashes left unfinished; removes no backup and nothing that is damaged."""
        return self._run(lib.statekeep_repository_repair_start, (), progress)

    def cleanup(
        self,
        *,
        policies: Sequence[Mapping[str, Any]] | None = None,
        mode: Literal["any", "all"] | None = None,
        grace: timedelta | None = None,
        dry_run: bool = False,
        state: bool | None = None,
        principal: str = "",
        progress: ProgressCallback | None = None,
    ) -> CleanupReport:
        """Deletes what the retention policies forget, and removes what was deleted longer ago than its
        grace. `policies` are like `{"policy": "count", "keep": 7}`, the configured ones when `None`.
        With `state` (the setting `retention.state` when `None`) also removes what has expired in the
        state itself and the past that its limits do not keep.

        What a Python policy raises is raised here; nothing was deleted then."""
        asked = options(
            {
                "policies": None if policies is None else [dict(policy) for policy in policies],
                "mode": mode,
                "grace_ms": None if grace is None else grace // timedelta(milliseconds=1),
                "dry_run": dry_run or None,
                "state": state,
                "principal": principal or None,
            }
        )
        row = self._run(lib.statekeep_backup_cleanup_start, asked, progress)
        reraise(row["failure"])
        shown = CleanupReport.__dataclass_fields__.keys() - {"report"}
        return CleanupReport(report=row, **{name: row[name] for name in shown})

    def register_policy(self, name: str, function: Policy) -> None:
        """Registers a function as a retention policy, which every language that has the state open can
        name: `{"policy": name, "an_option": 7}`. It gets the backups of one series, oldest first, and the
        circumstances with the options, and answers `Keep("why")`, `Forget("why")` or `None` on each.

        It runs on another thread, has `retention.policy_timeout` for its answer, and may read the state;
        writes from inside raise `Reentrant`. It stays until `unregister_policy` or until the state is closed
        everywhere; the interpreter waits at its end for one that runs."""
        register(self._state, name, function)

    def unregister_policy(self, name: str) -> None:
        """Removes a registered policy; returns when no call of it is running. Rules that name it fail from
        then on, and delete nothing."""
        unregister(self._state, name)

    def policy(self, name: str) -> Callable[[Policy], Policy]:
        """Registers the function below it: `@state.backups.policy("releases")`."""

        def named(function: Policy) -> Policy:
            register(self._state, name, function)
            return function

        return named

    def delete(self, *backups: str | Backup, principal: str = "") -> None:
        """Deletes backups by hand, all of them or none; `undelete` takes it back within the grace."""
        ids = [backup.id if isinstance(backup, Backup) else backup for backup in backups]
        asked = options({"backups": ids, "principal": principal or None})
        document(lib.statekeep_backup_delete_json, self._state.handle, *asked)

    def trash(self) -> tuple[DeletedBackup, ...]:
        """The backups that are deleted and not removed yet."""
        rows = document(lib.statekeep_backup_trash_json, self._state.handle)["backups"]
        return tuple(DeletedBackup.of(row) for row in rows)

    def storage(self) -> dict[str, Any]:
        """What the repository takes: `bytes`, `trash`, `unknown`, and by `backups`, `chains`, `series`,
        `scopes` and `ages`, and its `forecast`. Reads every document of the repository, and no record."""
        found: dict[str, Any] = document(lib.statekeep_backup_storage_json, self._state.handle)
        return found

    def undelete(self, backup: str | Backup | DeletedBackup) -> None:
        """Takes the deletion of a backup back."""
        chosen = backup.id if isinstance(backup, DeletedBackup) else backup
        call(lib.statekeep_backup_undelete, self._state.handle, *_id(chosen))

    def keys(self) -> tuple[RepositoryKey, ...]:
        """What opens the repository, oldest first. It is encrypted when the first backup was made with
        the setting `backup.encryption.passphrase_file`, `.passphrase` or `.key_file`."""
        rows = document(lib.statekeep_repository_key_list_json, self._state.handle)["keys"]
        return tuple(RepositoryKey.of(row) for row in rows)

    def add_key(
        self,
        *,
        passphrase: str | None = None,
        passphrase_file: str | os.PathLike[str] | None = None,
        key_file: str | os.PathLike[str] | None = None,
        label: str = "",
    ) -> RepositoryKey:
        """Has one more passphrase or key file open the repository; no backup is written again."""
        return self._add_key(passphrase, passphrase_file, key_file, label=label or None)

    def change_key(
        self,
        *,
        passphrase: str | None = None,
        passphrase_file: str | os.PathLike[str] | None = None,
        key_file: str | os.PathLike[str] | None = None,
    ) -> RepositoryKey:
        """Puts another passphrase or key file in the place of the one that opened the repository;
        the settings need it from the next opening on."""
        return self._add_key(passphrase, passphrase_file, key_file, change=True)

    def remove_key(self, key: str | RepositoryKey) -> None:
        """Has a key open the repository no longer; the one in use stays."""
        chosen = name(key.id if isinstance(key, RepositoryKey) else key, "key id")
        call(lib.statekeep_repository_key_remove, self._state.handle, *chosen)

    def _add_key(
        self,
        passphrase: str | None,
        passphrase_file: str | os.PathLike[str] | None,
        key_file: str | os.PathLike[str] | None,
        **others: Any,
    ) -> RepositoryKey:
        secret = {
            "passphrase": passphrase,
            "passphrase_file": None if passphrase_file is None else os.fspath(passphrase_file),
            "key_file": None if key_file is None else os.fspath(key_file),
        }
        asked = options({**secret, **others})
        return RepositoryKey.of(
            document(lib.statekeep_repository_key_add_json, self._state.handle, *asked)
        )

    def _run(
        self,
        start: Any,
        arguments: tuple[Any, ...],
        progress: ProgressCallback | None,
        limit_rate: int = 0,
    ) -> dict[str, Any]:
        op = handle("statekeep_op", start, self._state.handle, *arguments)
        return finish(op, progress, limit_rate)


def _id(backup: str | Backup) -> tuple[bytes, int]:
    return name(backup.id if isinstance(backup, Backup) else backup, "backup id")
