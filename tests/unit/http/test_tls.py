"""Certificates of our own making."""

from __future__ import annotations

import ipaddress
import ssl
from pathlib import Path

import pytest
from cryptography import x509

from lambent.http.tls import TlsError, own_addresses, self_made, server_context

NAMES = ["localhost", "127.0.0.1", "::1"]


def handshake(authority: Path, certificate: Path, key: Path, name: str) -> None:
    """A whole TLS handshake in memory. Raises ssl.SSLError when the client does not trust the server."""
    client_in, client_out, server_in, server_out = (ssl.MemoryBIO() for _ in range(4))
    client = ssl.create_default_context(cafile=authority).wrap_bio(client_in, client_out, server_hostname=name)
    server = server_context(certificate, key).wrap_bio(server_in, server_out, server_side=True)
    pending = [client, server]
    for _ in range(10):
        for side in list(pending):
            try:
                side.do_handshake()
                pending.remove(side)
            except ssl.SSLWantReadError:
                pass
            server_in.write(client_out.read())
            client_in.write(server_out.read())
    assert not pending


@pytest.mark.parametrize("name", NAMES)
def test_clients_that_trust_the_authority_trust_the_server(tmp_path: Path, name: str) -> None:
    handshake(*self_made(tmp_path / "tls", NAMES), name)


def test_other_names_and_other_authorities_are_not_trusted(tmp_path: Path) -> None:
    authority, certificate, key = self_made(tmp_path / "tls", NAMES)
    with pytest.raises(ssl.SSLCertVerificationError):
        handshake(authority, certificate, key, "example.org")
    other, _, _ = self_made(tmp_path / "other", NAMES)
    with pytest.raises(ssl.SSLCertVerificationError):
        handshake(other, certificate, key, "localhost")


def test_keys_are_for_their_owner_only(tmp_path: Path) -> None:
    self_made(tmp_path / "tls", NAMES)
    modes = {path.name: oct(path.stat().st_mode & 0o777) for path in (tmp_path / "tls").iterdir()}
    assert modes == {"ca.pem": "0o644", "ca-key.pem": "0o600", "server.pem": "0o644", "server-key.pem": "0o600"}


def test_the_authority_stays_and_the_certificate_follows_the_names(tmp_path: Path) -> None:
    authority, certificate, _ = self_made(tmp_path, NAMES)
    first, made = authority.read_bytes(), certificate.read_bytes()
    self_made(tmp_path, NAMES)
    assert (authority.read_bytes(), certificate.read_bytes()) == (first, made)
    self_made(tmp_path, [*NAMES, "lambda.example.org", "10.1.2.3"])
    assert authority.read_bytes() == first
    known = x509.load_pem_x509_certificate(certificate.read_bytes())
    names = known.extensions.get_extension_for_class(x509.SubjectAlternativeName).value
    assert "lambda.example.org" in names.get_values_for_type(x509.DNSName)
    assert ipaddress.ip_address("10.1.2.3") in names.get_values_for_type(x509.IPAddress)


@pytest.mark.parametrize("damage", ["server.pem", "server-key.pem", "ca.pem"])
def test_what_is_missing_or_damaged_is_made_again(tmp_path: Path, damage: str) -> None:
    self_made(tmp_path, NAMES)
    (tmp_path / damage).unlink()
    handshake(*self_made(tmp_path, NAMES), "localhost")


def test_a_certificate_that_cannot_be_used(tmp_path: Path) -> None:
    with pytest.raises(TlsError, match="cannot be used"):
        server_context(tmp_path / "absent.pem", tmp_path / "absent-key.pem")
    _, certificate, _ = self_made(tmp_path / "one", NAMES)
    _, _, key = self_made(tmp_path / "two", NAMES)
    with pytest.raises(TlsError, match="cannot be used"):
        server_context(certificate, key)


def test_own_addresses_are_no_loopback_ones() -> None:
    assert not {"127.0.0.1", "::1", "localhost"} & set(own_addresses())
