"""Places, storage settings and what storage errors become."""

from __future__ import annotations

import errno
import os
from dataclasses import dataclass

import pytest

from raymesh.adapters.iceberg import files
from raymesh.adapters.iceberg.files import LocalFiles, s3_arguments, s3_properties, storage_errors
from raymesh.adapters.iceberg.places import Places, plain, split_name
from raymesh.errors import DiskFullError, StorageError, UsageError


def test_a_relative_warehouse_belongs_to_the_mesh():
    assert Places.under("wh/x", "/mesh").data("a.b") == "/mesh/wh/x/a/b/data"
    assert Places.under("/abs/", "/mesh").metadata("a.b") == "/abs/a/b/metadata"
    assert Places.under("file:///abs", "/mesh").warehouse == "/abs"
    assert Places.under("s3://bucket/p/", "/mesh").table("a.b__q") == "s3://bucket/p/a/b__q"


@pytest.mark.parametrize("bad", ["", ".", "a", "a.", ".b", "a./b", "a.b/../c", "../a.b", "a.."])
def test_other_names_are_no_tables(bad):
    with pytest.raises(UsageError):
        split_name(bad)


def test_a_warehouse_owns_what_is_in_it_and_nothing_else(tmp_path):
    places = Places.under("wh", str(tmp_path))
    (tmp_path / "wh").mkdir()
    assert places.owns(str(tmp_path / "wh/a/b/data/x"))
    for other in (tmp_path / "wh", tmp_path / "wh2/x", tmp_path / "wh/../x", "/etc/passwd", "wh/x", ""):
        assert not places.owns(str(other))
    (tmp_path / "out").mkdir()
    (tmp_path / "wh/link").symlink_to(tmp_path / "out")
    assert not places.owns(str(tmp_path / "wh/link/x"))


def test_a_bucket_owns_what_is_under_its_prefix_and_nothing_else():
    places = Places.under("s3://bucket/p", "/")
    assert places.owns("s3://bucket/p/a/b")
    for other in ("s3://bucket/px/a", "s3://bucket/p", "s3://other/p/a", "s3://bucket/p/../x", "/p/a"):
        assert not places.owns(other)


def test_local_addresses_are_plain_paths():
    assert plain("file:///a/b c") == "/a/b c"
    assert plain("file:/a") == "file:/a"
    assert plain("/a") == "/a"
    assert plain("s3://b/k") == "s3://b/k"


@dataclass
class Secret:
    name: str
    asked: int = 0

    def resolve(self, environment):
        self.asked += 1
        return environment[self.name]


def test_secrets_are_resolved_when_they_are_needed_and_not_before(monkeypatch):
    monkeypatch.setenv("KEY", "s3cr3t")
    secret = Secret("KEY")
    settings = {
        "endpointUrl": "http://x:9000",
        "accessKeyId": "id",
        "secretAccessKey": secret,
        "region": None,
    }
    storage = files.ObjectFiles(settings)
    assert secret.asked == 0
    assert "s3cr3t" not in repr(vars(storage))
    found = s3_arguments(settings)
    assert found["secret_key"] == "s3cr3t"
    assert found["endpoint_override"] == "http://x:9000"
    assert s3_properties(settings)["s3.secret-access-key"] == "s3cr3t"


def test_the_region_comes_from_the_settings_then_the_environment(monkeypatch):
    monkeypatch.delenv("AWS_REGION", raising=False)
    monkeypatch.delenv("AWS_DEFAULT_REGION", raising=False)
    assert s3_arguments({})["region"] == "us-east-1"
    monkeypatch.setenv("AWS_DEFAULT_REGION", "eu-west-3")
    assert s3_arguments({})["region"] == "eu-west-3"
    assert s3_arguments({"region": "eu-north-1"})["region"] == "eu-north-1"


@pytest.mark.parametrize("code", [errno.ENOSPC, errno.EDQUOT, errno.EFBIG])
def test_no_space_is_called_a_full_disk(code):
    with pytest.raises(DiskFullError, match="/some/file") as caught, storage_errors("it failed"):
        raise OSError(code, os.strerror(code), "/some/file")
    assert "maintain" in caught.value.hint


def test_other_failures_name_the_file():
    with pytest.raises(StorageError, match=r"Permission denied \(/some/file\)"), storage_errors("it failed"):
        raise PermissionError(errno.EACCES, "Permission denied", "/some/file")


def test_syncing_flushes_the_files_and_every_folder_that_names_them(tmp_path, monkeypatch):
    flushed = []
    monkeypatch.setattr(files, "flush_all", lambda paths: flushed.append(list(paths)))
    warehouse = tmp_path / "wh"
    data = warehouse / "a/b/data"
    data.mkdir(parents=True)
    local = LocalFiles(str(warehouse))
    local.sync([str(data / "1"), str(data / "2")])
    assert flushed[0] == [str(data / "1"), str(data / "2")]
    assert set(flushed[1]) == {str(p) for p in (data, data.parent, warehouse / "a", warehouse, tmp_path)}
    flushed.clear()
    local.sync([str(data / "3")])
    assert flushed == [[str(data / "3")], [str(data)]], "folders above are durable already"


def test_listing_looks_into_folders_and_not_through_links(tmp_path):
    (tmp_path / "t/data/c=1").mkdir(parents=True)
    (tmp_path / "t/data/c=1/x").write_text("abc")
    (tmp_path / "elsewhere").mkdir()
    (tmp_path / "elsewhere/y").write_text("abc")
    (tmp_path / "t/link").symlink_to(tmp_path / "elsewhere")
    listed = LocalFiles(str(tmp_path)).list(str(tmp_path / "t"))
    assert (str(tmp_path / "t/data/c=1/x"), 3) in listed
    assert not any(path.endswith("y") for path, _ in listed)
    assert LocalFiles(str(tmp_path)).list(str(tmp_path / "nowhere")) == []
