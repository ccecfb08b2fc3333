"""Attacks on who somebody is (catalogue G): tokens against a running provider, names against the users file."""

from __future__ import annotations

import base64
import hashlib
import hmac
import json
import pickle
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from cryptography.hazmat.primitives import serialization

from meshes import write_mesh
from oidc import AUDIENCE, Provider, provider
from raymesh.actions.identity import new_token, principal_of, service_principal
from raymesh.actions.workspace import Storage, open_storage_only
from raymesh.adapters.identity import OidcIdentity
from raymesh.errors import AccessDeniedError, DocumentsInvalidError, MeshError, StorageError
from raymesh.governance.model import Principal
from raymesh.spec.mesh import OidcSpec
from raymesh.spi.identity import Credential


@pytest.fixture
def idp() -> Iterator[Provider]:
    with provider() as running:
        yield running


def identity(idp: Provider, **changes: Any) -> OidcIdentity:
    said = {"issuer": idp.issuer, "audience": AUDIENCE, "groupsClaim": "groups", **changes}
    return OidcIdentity(OidcSpec.model_validate(said))


def signed_in(idp: Provider, token: str | None = None, *, later: float = 0, **changes: Any) -> Principal:
    moment = datetime.now(UTC) + timedelta(seconds=later)
    return identity(idp, **changes).principal(
        Credential(token=idp.token() if token is None else token), moment
    )


def b64(content: bytes) -> str:
    return base64.urlsafe_b64encode(content).rstrip(b"=").decode()


def forged(header: dict[str, Any], claims: dict[str, Any], secret: bytes | None = None) -> str:
    """A token by hand: unsigned, or with an HMAC over `secret`."""
    text = b64(json.dumps(header).encode()) + "." + b64(json.dumps(claims).encode())
    signature = hmac.new(secret, text.encode(), hashlib.sha256).digest() if secret is not None else b""
    return f"{text}.{b64(signature)}"


def test_a_token_of_the_provider_says_who_it_is(idp):
    found = signed_in(idp)
    assert (found.issuer, found.subject, found.groups) == (idp.issuer, "anna", frozenset({"analysts"}))
    assert found.id == f"{idp.issuer}|anna"
    assert found.kind == "person"
    assert found.expires_at is not None
    assert timedelta(minutes=4) < found.expires_at - datetime.now(UTC) <= timedelta(minutes=5)


# G1
@pytest.mark.parametrize("word", ["none", "None", "NONE", "nOnE", ""])
def test_g1_a_token_that_is_not_signed_is_refused(idp, word):
    token = forged({"alg": word, "typ": "JWT", "kid": idp.kid}, idp.claims())
    with pytest.raises(AccessDeniedError):
        signed_in(idp, token)


def test_g1_a_signature_taken_off_is_refused(idp):
    head, claims, _ = idp.token().split(".")
    with pytest.raises(AccessDeniedError):
        signed_in(idp, f"{head}.{claims}.")


# G2
@pytest.mark.parametrize("form", ["PEM", "DER"])
def test_g2_the_public_key_is_no_secret_to_sign_with(idp, form):
    kind = getattr(serialization.Encoding, form)
    public = idp.keys[idp.kid].public_key()
    secret = public.public_bytes(kind, serialization.PublicFormat.SubjectPublicKeyInfo)
    token = forged({"alg": "HS256", "typ": "JWT", "kid": idp.kid}, idp.claims(), secret)
    with pytest.raises(AccessDeniedError, match="algorithm"):
        signed_in(idp, token)


def test_g2_algorithms_with_a_shared_secret_cannot_be_allowed(idp):
    for word in ("HS256", "none"):
        with pytest.raises(ValueError, match="algorithms"):
            identity(idp, algorithms=[word])


def test_g2_only_the_pinned_algorithm_is_taken(idp):
    idp.rotate("curve", forget=False, curve=True)
    token = idp.token(algorithm="ES256")
    with pytest.raises(AccessDeniedError, match="algorithm"):
        signed_in(idp, token)
    assert signed_in(idp, token, algorithms=["ES256"]).subject == "anna"


def test_g2_a_key_of_another_family_does_not_verify(idp):
    token = idp.token()
    with pytest.raises(AccessDeniedError):
        signed_in(idp, token, algorithms=["ES256", "PS256"])


def test_g2_a_shared_secret_among_the_published_keys_is_no_key(idp):
    idp.published[:] = [{"kty": "oct", "kid": "one", "k": b64(b"0" * 32)}]
    with pytest.raises(AccessDeniedError, match="no such key"):
        signed_in(idp)


# G3
@pytest.mark.parametrize("claim", ["exp", "iat", "iss", "aud", "sub"])
def test_g3_a_token_without_a_required_claim_is_refused(idp, claim):
    with pytest.raises(AccessDeniedError):
        signed_in(idp, idp.token(**{claim: None}))


@pytest.mark.parametrize("value", ["tomorrow", True, [1], 1e400])
def test_g3_a_time_that_is_no_number_is_refused(idp, value):
    with pytest.raises(AccessDeniedError):
        signed_in(idp, idp.token(exp=value))


def test_g3_an_expired_token_is_refused_after_the_leeway(idp):
    token = idp.token()
    assert signed_in(idp, token, later=309).subject == "anna"
    with pytest.raises(AccessDeniedError, match="expired"):
        signed_in(idp, token, later=311)


def test_g3_a_token_of_the_future_is_refused(idp):
    now = int(datetime.now(UTC).timestamp())
    for claim in ("iat", "nbf"):
        with pytest.raises(AccessDeniedError, match="not valid yet"):
            signed_in(idp, idp.token(**{claim: now + 60, "exp": now + 300}))


def test_g3_the_leeway_cannot_be_more_than_half_a_minute(idp):
    with pytest.raises(ValueError, match="leeway"):
        identity(idp, leeway="31s")


# G4
@pytest.mark.parametrize(
    "changes", [{"aud": "other"}, {"aud": ["other"]}, {"aud": []}, {"iss": "https://evil"}]
)
def test_g4_a_token_for_others_or_by_others_is_refused(idp, changes):
    with pytest.raises(AccessDeniedError):
        signed_in(idp, idp.token(**changes))


def test_g4_the_same_subject_of_two_issuers_is_two_principals(idp):
    with provider() as second:
        assert signed_in(idp).id != signed_in(second).id
        with pytest.raises(AccessDeniedError):
            signed_in(idp, second.token())
        with pytest.raises(AccessDeniedError):
            signed_in(idp, second.token(iss=idp.issuer))
    assert signed_in(idp).id != Principal("local", "anna").id


def test_g4_a_provider_that_says_it_is_another_is_not_believed(idp):
    idp.discovery["issuer"] = "https://somebody.else"
    with pytest.raises(StorageError, match="another issuer"):
        signed_in(idp)


# G5
@pytest.mark.parametrize("kid", ["../../etc/passwd", "two' OR '1'='1", "http://evil/key", "", "\x00"])
def test_g5_the_name_of_a_key_is_only_looked_up(idp, kid):
    with pytest.raises(AccessDeniedError, match="no such key"):
        signed_in(idp, idp.token(headers={"kid": kid}))
    assert set(idp.asked) == {"/.well-known/openid-configuration", "/keys"}


def test_g5_keys_a_token_brings_along_are_ignored(idp):
    with provider() as evil:
        headers = {"jku": f"{evil.issuer}/keys", "x5u": f"{evil.issuer}/x", "jwk": dict(evil.published[0])}
        token = evil.token(iss=idp.issuer, headers=headers)
        with pytest.raises(AccessDeniedError):
            signed_in(idp, token)
        assert not evil.asked


def test_g5_keys_at_another_address_without_tls_are_not_fetched(idp):
    with provider() as evil:
        idp.discovery["jwks_uri"] = f"{evil.issuer}/keys"
        with pytest.raises(StorageError, match="https"):
            signed_in(idp, evil.token(iss=idp.issuer))
        assert not evil.asked


def test_g5_a_redirect_is_not_followed(idp):
    with provider() as evil:
        idp.answers["/keys"] = (302, f"{evil.issuer}/keys".encode())
        with pytest.raises(StorageError, match="cannot be asked"):
            signed_in(idp, evil.token(iss=idp.issuer))
        assert not evil.asked


@pytest.mark.parametrize("content", [b"[]", b"<html>", b"{" + b" " * 1_000_001 + b"}"])
def test_g5_an_answer_that_is_no_document_is_no_key(idp, content):
    idp.answers["/keys"] = (200, content)
    with pytest.raises(StorageError, match="no JSON document"):
        signed_in(idp)


def test_g5_keys_are_kept_and_asked_for_again_when_they_rotate(idp):
    from raymesh.adapters.identity.provider import KEPT_SECONDS, PAUSE_SECONDS
    from raymesh.adapters.identity.provider import Provider as Keys

    now = [0.0]
    keys = Keys(idp.issuer, clock=lambda: now[0])
    keys.key("one", "RS256", ["RS256"])
    keys.key("one", "RS256", ["RS256"])
    assert idp.asked["/keys"] == 1
    idp.rotate("two")
    for _ in range(5):
        with pytest.raises(AccessDeniedError):
            keys.key("two", "RS256", ["RS256"])
    assert idp.asked["/keys"] == 1, "unknown names must not make us ask at will"
    now[0] += PAUSE_SECONDS
    keys.key("two", "RS256", ["RS256"])
    with pytest.raises(AccessDeniedError):
        keys.key("one", "RS256", ["RS256"])
    idp.rotate("three")
    now[0] += KEPT_SECONDS
    with pytest.raises(AccessDeniedError):
        keys.key("two", "RS256", ["RS256"])


def test_g5_a_token_without_a_key_name_needs_a_single_key(idp):
    token = idp.token(headers={"kid": None})
    assert signed_in(idp, token).subject == "anna"
    idp.rotate("two", forget=False)
    with pytest.raises(AccessDeniedError, match="no such key"):
        signed_in(idp, idp.token(headers={"kid": None}))


# G6
@pytest.mark.parametrize(
    "changes",
    [
        {"groups": None},
        {"groups": "analysts"},
        {"groups": [1]},
        {"groups": {"analysts": True}},
        {
            "groups": None,
            "_claim_names": {"groups": "src1"},
            "_claim_sources": {"src1": {"endpoint": "https://x"}},
        },
        {"groups": ["analysts"], "_claim_names": {"groups": "src1"}},
        {"groups": ["analysts"], "hasgroups": True},
    ],
)
def test_g6_groups_that_are_left_out_are_not_none(idp, changes):
    with pytest.raises(AccessDeniedError, match="groups"):
        signed_in(idp, idp.token(**changes))


def test_g6_no_groups_at_all_is_an_answer(idp):
    assert signed_in(idp, idp.token(groups=[])).groups == frozenset()


def test_g6_only_mapped_claims_count(idp):
    token = idp.token(
        region="EU", role="admin", purposes=["fraud"], kind="service", attributes={"region": "US"}
    )
    plain = signed_in(idp, token)
    assert (plain.attributes, plain.purposes, plain.kind) == ({}, frozenset(), "person")
    mapped = signed_in(idp, token, attributes={"area": "region"}, purposesClaim="purposes")
    assert (mapped.attributes, mapped.purposes) == ({"area": "EU"}, frozenset({"fraud"}))
    assert signed_in(idp, idp.token(), attributes={"area": "region"}).attributes == {}


@pytest.mark.parametrize("value", [{"a": 1}, [{"a": 1}], [["EU"]]])
def test_g6_a_claim_that_is_no_plain_value_is_refused(idp, value):
    with pytest.raises(AccessDeniedError):
        signed_in(idp, idp.token(region=value), attributes={"region": "region"})


# G7
def test_g7_a_token_holds_for_a_short_time_only(idp):
    now = int(datetime.now(UTC).timestamp())
    with pytest.raises(AccessDeniedError, match="issued for longer"):
        signed_in(idp, idp.token(exp=now + 86_400))
    assert signed_in(idp, idp.token(exp=now + 86_400), maxLifetime="1d").subject == "anna"
    with pytest.raises(AccessDeniedError, match="issued for longer"):
        signed_in(idp, maxLifetime="299s")


# G8
def test_g8_a_name_beside_a_token_does_not_act_for_somebody_else(idp):
    with pytest.raises(AccessDeniedError, match="not boss's"):
        identity(idp).principal(Credential("boss", idp.token()), datetime.now(UTC))
    same = identity(idp).principal(Credential("anna", idp.token()), datetime.now(UTC))
    assert same.subject == "anna"


def test_g8_a_purpose_in_the_token_is_not_believed_unless_mapped(idp):
    assert signed_in(idp, idp.token(purpose="fraud", purposes=["fraud"])).purposes == frozenset()


# users of one machine
USERS = [
    {
        "name": "anna",
        "groups": ["analysts"],
        "purposes": ["reporting"],
        "attributes": {"region": ["EU", "US"]},
    },
    {"name": "bot", "kind": "service"},
    {"name": "Boss@acme.com", "groups": ["admins"]},
]


def write_users(root: Path, users: list[dict[str, Any]]) -> None:
    document = {"apiVersion": "raymesh/v1", "kind": "Users", "users": users}
    (root / "governance").mkdir(exist_ok=True)
    (root / "governance/users.yaml").write_text(json.dumps(document), encoding="utf-8")


@pytest.fixture
def storage(tmp_path: Path) -> Iterator[Storage]:
    write_users(write_mesh(tmp_path), USERS)
    with open_storage_only(tmp_path) as opened:
        yield opened


def test_nobody_named_is_refused(storage):
    with pytest.raises(AccessDeniedError, match="nobody is named") as caught:
        principal_of(storage, env={})
    assert caught.value.exit_code == 6
    assert "--as" in (caught.value.hint or "")


def test_a_name_comes_from_the_option_then_the_environment_then_the_mesh(storage, tmp_path):
    env = {"RAYMESH_AS": "bot"}
    assert principal_of(storage, "anna", env=env).subject == "anna"
    assert principal_of(storage, env=env).subject == "bot"
    write_mesh(tmp_path, identity={"default": "anna"})
    with open_storage_only(tmp_path) as opened:
        assert principal_of(opened, env={}).subject == "anna"
        assert principal_of(opened, env=env).subject == "bot"


def test_a_user_is_what_the_file_says(storage):
    found = principal_of(storage, "anna", env={})
    assert found.groups == {"analysts"}
    assert found.purposes == {"reporting"}
    assert found.attributes == {"region": ("EU", "US")}
    assert principal_of(storage, "bot", env={}).kind == "service"


def test_a_token_is_shown_once_and_kept_as_a_digest(storage, tmp_path):
    token, digest = new_token(storage, "anna")
    assert token not in (tmp_path / "governance/users.yaml").read_text()
    recorded = b"".join(f.read_bytes() for f in (tmp_path / ".raymesh").rglob("*") if f.is_file())
    assert token.encode() not in recorded
    write_users(tmp_path, [{**USERS[0], "token": digest}, *USERS[1:]])
    assert principal_of(storage, token=token, env={}).subject == "anna"
    assert principal_of(storage, env={"RAYMESH_TOKEN": token}).subject == "anna"
    with pytest.raises(AccessDeniedError, match="known by a token"):
        principal_of(storage, "anna", env={})
    with pytest.raises(AccessDeniedError, match="nobody has this token"):
        principal_of(storage, token=token + "x", env={})


def test_g8_a_token_does_not_act_for_another_user(storage, tmp_path):
    token, digest = new_token(storage, "anna")
    write_users(tmp_path, [{**USERS[0], "token": digest}, *USERS[1:]])
    env = {"RAYMESH_TOKEN": token}
    with pytest.raises(AccessDeniedError, match="not bot's"):
        principal_of(storage, "bot", env=env)
    with pytest.raises(AccessDeniedError, match="not bot's"):
        principal_of(storage, env={**env, "RAYMESH_AS": "bot"})


# G9
def test_g9_nobody_signs_in_as_the_service_of_a_product(storage, tmp_path):
    name = service_principal("shop.sales").id
    with pytest.raises(AccessDeniedError):
        principal_of(storage, name, env={})
    write_users(tmp_path, [{"name": name}])
    with pytest.raises(DocumentsInvalidError):
        principal_of(storage, name, env={})


def test_g9_a_token_with_the_subject_of_a_service_is_not_that_service(idp):
    found = signed_in(idp, idp.token(sub="raymesh:shop.sales"))
    assert found.kind == "person"
    assert found.id != service_principal("shop.sales").id


# G10
@pytest.mark.parametrize(
    "name",
    [
        "anna\n",
        " anna",
        "anna ",
        "ANNA",
        "ann\u0430",
        "an\u200bna",
        "*",
        "anna'--",
        '"anna"',
        "a\x00b",
        "",
        "../anna",
    ],
)
def test_g10_a_name_that_looks_like_anothers_is_nobody(storage, name):
    with pytest.raises(AccessDeniedError):
        principal_of(storage, name, env={})


@pytest.mark.parametrize(
    "name", ["ann\u0430", "a b", "a\nb", "a:b", "*", "raymesh:x.y", "a|b", "-anna", "a'b"]
)
def test_g10_users_with_such_names_cannot_be_declared(storage, tmp_path, name):
    write_users(tmp_path, [{"name": name}])
    with pytest.raises(DocumentsInvalidError):
        principal_of(storage, "anna", env={})


def test_g10_two_users_differ_by_more_than_case_and_by_their_tokens(storage, tmp_path):
    digest = "sha256:" + "0" * 64
    for users in (
        [{"name": "anna"}, {"name": "Anna"}],
        [{"name": "anna", "token": digest}, {"name": "bea", "token": digest}],
    ):
        write_users(tmp_path, users)
        with pytest.raises(DocumentsInvalidError) as caught:
            principal_of(storage, "anna", env={})
        assert {d.code for d in caught.value.diagnostics} == {"duplicate-key"}


@pytest.mark.parametrize(
    "subject", ["", " anna", "anna\n", "an\x00na", "a" * 256, "e\u0301", "an\u202ena", 7, None, ["anna"]]
)
def test_g10_a_subject_that_is_no_plain_name_is_refused(idp, subject):
    with pytest.raises(AccessDeniedError):
        signed_in(idp, idp.token(sub=subject) if isinstance(subject, str) else _unchecked(idp, subject))


def _unchecked(idp: Provider, subject: Any) -> str:
    """A signed token with a subject that a correct issuer would not write."""
    import jwt

    claims = {**idp.claims(), "sub": subject}
    return jwt.api_jws.encode(
        json.dumps(claims).encode(), idp.keys[idp.kid], algorithm="RS256", headers={"kid": idp.kid}
    )


def test_errors_hold_nothing_of_a_token(idp):
    token = idp.token(aud="other")
    with pytest.raises(MeshError) as caught:
        signed_in(idp, token)
    shown = repr(caught.value) + str(caught.value.hint) + repr(Credential(token=token))
    assert not any(part in shown for part in token.split("."))
    assert pickle.loads(pickle.dumps(caught.value)).code == "access-denied"


def test_a_provider_that_cannot_be_reached_signs_nobody_in(idp):
    idp.answers["/.well-known/openid-configuration"] = (503, b"")
    with pytest.raises(StorageError, match="cannot be asked"):
        signed_in(idp)


def test_the_mesh_signs_in_with_its_provider(idp, tmp_path):
    oidc = {"issuer": idp.issuer, "audience": AUDIENCE, "groupsClaim": "groups"}
    write_users(write_mesh(tmp_path, identity={"oidc": oidc}), USERS)
    with open_storage_only(tmp_path) as opened:
        assert principal_of(opened, token=idp.token(), env={}).issuer == idp.issuer
        assert principal_of(opened, env={"RAYMESH_TOKEN": idp.token()}).issuer == idp.issuer
        assert principal_of(opened, "anna", env={}).issuer == "local"


@pytest.mark.parametrize(
    "issuer", ["http://idp.example.com", "ftp://x", "https://x/?a=b", "http://127.0.0.1.evil.com/"]
)
def test_an_issuer_without_tls_is_refused_unless_it_is_here(issuer):
    with pytest.raises(ValueError, match="issuer"):
        OidcSpec.model_validate({"issuer": issuer, "audience": AUDIENCE})


def test_without_its_package_a_token_is_refused_with_the_line_that_installs_it(idp, monkeypatch):
    import sys

    from raymesh.errors import MissingExtraError

    monkeypatch.setitem(sys.modules, "jwt", None)
    with pytest.raises(MissingExtraError, match=r"raymesh\[oidc\]"):
        identity(idp)
