from __future__ import annotations

import builtins
import sys

import pytest

from raymesh.adapters import sources
from raymesh.adapters.sources.postgres_address import address_of
from raymesh.adapters.sources.settings import read_settings
from raymesh.errors import MissingExtraError, SourceError
from raymesh.spec.secrets import SecretRef


def settings(**more):
    return read_settings({"name": "given", "type": "postgres", **more}, "/mesh")


def test_user_and_password_of_the_document_win_and_are_quoted():
    given = settings(
        location="postgresql://me:old@db:5433/shop?sslmode=require", user="a@b", password="p:/ %"
    )
    assert address_of(given).url() == "postgresql://a%40b:p%3A%2F%20%25@db:5433/shop?sslmode=require"


def test_a_password_in_the_address_is_taken_out_of_it():
    for location in ("postgresql://me:secret@db/shop", "postgresql://me@db/shop?password=secret"):
        address = address_of(settings(location=location))
        assert (address.user, address.password, address.place) == ("me", "secret", "db")
        assert "secret" not in repr(address)
        assert "secret" not in str(address.error(settings(), Exception("auth of me:secret failed")))


def test_a_reading_address_cannot_write():
    url = address_of(settings(location="postgresql://db/shop")).url(read_only=True)
    assert "default_transaction_read_only%3Don" in url


def test_settings_show_no_secret(monkeypatch):
    monkeypatch.setenv("A_SECRET", "hush")
    given = settings(
        location="postgresql://db/shop",
        password=SecretRef("${env:A_SECRET}"),
        storage={
            "accessKeyId": SecretRef("${env:A_SECRET}"),
            "secretAccessKey": SecretRef("${env:A_SECRET}"),
        },
        catalog={"uri": SecretRef("${env:A_SECRET}")},
    )
    assert (given.password, given.s3.secret, given.catalog["uri"]) == ("hush", "hush", "hush")
    assert "hush" not in repr(given)


@pytest.mark.parametrize(
    ("make", "spec", "module", "extra"),
    [
        (sources.files, {"type": "parquet", "location": "s3://b/x.parquet"}, "s3fs", "s3"),
        (sources.delta, {"type": "delta", "location": "x"}, "deltalake", "delta"),
        (
            sources.postgres,
            {"type": "postgres", "location": "postgresql://h/d", "table": "t"},
            "psycopg",
            "postgres",
        ),
    ],
)
def test_a_missing_library_names_the_command_that_installs_it(make, spec, module, extra, monkeypatch):
    real = builtins.__import__

    def absent(name, *args, **kwargs):
        if name.split(".")[0] == module:
            raise ImportError(name)
        return real(name, *args, **kwargs)

    monkeypatch.setattr(builtins, "__import__", absent)
    monkeypatch.setitem(sys.modules, module, None)
    with pytest.raises(MissingExtraError) as caught:
        make().describe(spec, "/mesh")
    assert caught.value.hint == f"pip install 'raymesh[{extra}]'"


def test_the_package_is_imported_without_its_engines():
    import subprocess

    code = "import sys, raymesh.adapters.sources; print({'duckdb', 'pyarrow', 'pyiceberg', 'deltalake'} & set(sys.modules))"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "set()"


def test_a_source_that_is_no_postgresql_address_is_refused():
    with pytest.raises(SourceError, match="no PostgreSQL address"):
        address_of(settings(location="mysql://db/shop"))
