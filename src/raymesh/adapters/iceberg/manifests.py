"""Writing the manifests of one snapshot: which data files it has, which it no longer has."""

from __future__ import annotations

from collections import defaultdict
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Final
from uuid import uuid4

from pyiceberg.manifest import (
    ManifestContent,
    ManifestEntry,
    ManifestEntryStatus,
    ManifestFile,
    write_manifest,
    write_manifest_list,
)

from raymesh.adapters.iceberg.places import plain
from raymesh.adapters.iceberg.reading import entries, manifests
from raymesh.errors import CommitConflictError

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from pyiceberg.io import FileIO
    from pyiceberg.manifest import DataFile as IcebergFile
    from pyiceberg.schema import Schema
    from pyiceberg.table.metadata import TableMetadata
    from pyiceberg.table.snapshots import Snapshot

_CODEC: Final = "deflate"
_MERGE_FROM, _MERGED_BYTES = 16, 8 * 1024 * 1024


@dataclass(slots=True)
class Writer:
    """The manifests of one new snapshot. `written` has every file begun, with its bytes once it is complete."""

    io: FileIO
    folder: str
    metadata: TableMetadata
    snapshot_id: int
    removed: list[IcebergFile] = field(default_factory=list)
    written: dict[str, int] = field(default_factory=dict)
    _name: str = field(default_factory=lambda: str(uuid4()))

    def replace(self, base: Snapshot | None, added: Sequence[IcebergFile]) -> list[ManifestFile]:
        """Exactly `added`; every file of `base` is recorded as removed."""
        old = [e for m in self._data_manifests(base) for e in entries(self.io, m)]
        self.removed = [e.data_file for e in old]
        return [*self._added(added), *self._by_spec(old, ManifestEntryStatus.DELETED)]

    def append(self, base: Snapshot | None, added: Sequence[IcebergFile]) -> list[ManifestFile]:
        """The manifests of `base` and one with `added`; many small ones become one."""
        kept = [m for m in self._manifests(base) if m.has_added_files() or m.has_existing_files()]
        small = [m for m in kept if m.content == ManifestContent.DATA and m.manifest_length < _MERGED_BYTES]
        if len(small) >= _MERGE_FROM:
            merged = {m.manifest_path for m in small}
            old = [e for m in small for e in entries(self.io, m)]
            kept = [m for m in kept if m.manifest_path not in merged]
            kept += self._by_spec(old, ManifestEntryStatus.EXISTING)
        return [*self._added(added), *kept]

    def rewrite(
        self, base: Snapshot | None, added: Sequence[IcebergFile], removed: Iterable[str]
    ) -> list[ManifestFile]:
        """`added` instead of `removed`; manifests without removed files stay as they are.

        Raises CommitConflictError when a file to remove is not in the table.
        """
        gone, kept = set(removed), []
        for manifest in self._manifests(base):
            found = entries(self.io, manifest)
            out = [e for e in found if plain(e.data_file.file_path) in gone]
            stay = [e for e in found if plain(e.data_file.file_path) not in gone]
            self.removed += [e.data_file for e in out]
            kept += [manifest] if stay and not out else self._split(stay, out)
        missing = gone - {plain(f.file_path) for f in self.removed}
        if missing:
            raise CommitConflictError(
                f"{min(missing)} is no longer part of the table", hint="run it again: the table has changed"
            )
        return [*self._added(added), *kept]

    def write_list(self, found: Sequence[ManifestFile], parent: int | None) -> str:
        """The manifest list of the snapshot; its path."""
        path = f"{self.folder}/snap-{self.snapshot_id}-0-{self._name}.avro"
        self.written[path] = 0
        output = self.io.new_output(path)
        with write_manifest_list(
            format_version=2,
            output_file=output,
            snapshot_id=self.snapshot_id,
            parent_snapshot_id=parent,
            sequence_number=self.metadata.next_sequence_number(),
            avro_compression=_CODEC,
        ) as out:
            if found:
                out.add_manifests(list(found))
        self.written[path] = len(output)
        return path

    def _manifests(self, base: Snapshot | None) -> list[ManifestFile]:
        return manifests(self.io, base) if base else []

    def _data_manifests(self, base: Snapshot | None) -> list[ManifestFile]:
        return [m for m in self._manifests(base) if m.content == ManifestContent.DATA]

    def _added(self, added: Sequence[IcebergFile]) -> list[ManifestFile]:
        new = [
            ManifestEntry.from_args(
                status=ManifestEntryStatus.ADDED,
                snapshot_id=self.snapshot_id,
                sequence_number=None,
                file_sequence_number=None,
                data_file=f,
            )
            for f in added
        ]
        return [self._write(new[0].data_file.spec_id, new)] if new else []

    def _split(self, stay: Sequence[ManifestEntry], out: Sequence[ManifestEntry]) -> list[ManifestFile]:
        existing = self._by_spec(stay, ManifestEntryStatus.EXISTING)
        return existing + self._by_spec(out, ManifestEntryStatus.DELETED)

    def _by_spec(self, old: Iterable[ManifestEntry], status: ManifestEntryStatus) -> list[ManifestFile]:
        """Manifests with entries of earlier snapshots, one per partition spec."""
        groups: dict[int, list[ManifestEntry]] = defaultdict(list)
        for e in old:
            deleted = status == ManifestEntryStatus.DELETED
            groups[e.data_file.spec_id].append(
                ManifestEntry.from_args(
                    status=status,
                    snapshot_id=self.snapshot_id if deleted else e.snapshot_id,
                    sequence_number=e.sequence_number,
                    file_sequence_number=e.file_sequence_number,
                    data_file=e.data_file,
                )
            )
        return [self._write(spec_id, group) for spec_id, group in groups.items()]

    def _write(self, spec_id: int, group: Sequence[ManifestEntry]) -> ManifestFile:
        path = f"{self.folder}/{self._name}-m{len(self.written)}.avro"
        self.written[path] = 0
        spec = self.metadata.specs()[spec_id]
        with write_manifest(
            format_version=2,
            spec=spec,
            schema=_schema_for(self.metadata, {f.source_id for f in spec.fields}),
            output_file=self.io.new_output(path),
            snapshot_id=self.snapshot_id,
            avro_compression=_CODEC,
        ) as out:
            for e in group:
                out.add_entry(e)
        manifest = out.to_manifest_file()
        self.written[path] = manifest.manifest_length
        return manifest


def _schema_for(metadata: TableMetadata, sources: set[int]) -> Schema:
    """The table's schema, or the latest one that still has the columns a partition spec is about."""
    candidates = [metadata.schema(), *reversed(metadata.schemas)]
    return next((s for s in candidates if sources <= {f.field_id for f in s.fields}), metadata.schema())
