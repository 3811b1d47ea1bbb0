"""Certificates: a given one, or an authority of our own that clients can be told to trust.

`--tls auto` makes, once, a certificate authority in DATA/tls (its key readable by the owner only) and a certificate of
this server signed by it, for the names and addresses it is reached by. The server's certificate is made anew when
those change or its end comes near; the authority stays, so clients trust `ca.pem` once. Making certificates needs the
`cryptography` package (`pip install 'lambent[tls]'`); serving with given ones does not.
"""

from __future__ import annotations

import contextlib
import datetime as dt
import ipaddress
import os
import socket
import ssl
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from cryptography import x509
    from cryptography.hazmat.primitives.asymmetric import ec

_AUTHORITY_LIFETIME: Final = dt.timedelta(days=3650)
_SERVER_LIFETIME: Final = dt.timedelta(days=397)  # what browsers accept at most
_RENEW_BEFORE: Final = dt.timedelta(days=30)


class TlsError(Exception):
    """TLS cannot be served; the message says why and what to do."""


def server_context(certificate: Path, key: Path) -> ssl.SSLContext:
    """What a server needs to speak TLS 1.2 or newer. Both files are PEM; the certificate may be a chain.

    Raises TlsError when they cannot be read or do not belong together.
    """
    context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
    context.minimum_version = ssl.TLSVersion.TLSv1_2
    context.set_alpn_protocols(["http/1.1"])
    try:
        context.load_cert_chain(certificate, key)
    except (OSError, ssl.SSLError) as error:
        raise TlsError(f"the certificate {certificate} with the key {key} cannot be used: {error}") from error
    return context


def self_made(directory: Path, names: Sequence[str]) -> tuple[Path, Path, Path]:
    """The files of an authority's certificate, and of the server's certificate and key, made where they are missing.

    `names`: host names and addresses clients use. Raises TlsError.
    """
    try:
        import cryptography  # noqa: F401
    except ImportError:
        raise TlsError(
            "--tls auto makes certificates with a package that is missing: pip install 'lambent[tls]'"
        ) from None
    directory.mkdir(mode=0o700, parents=True, exist_ok=True)
    authority, authority_key = directory / "ca.pem", directory / "ca-key.pem"
    certificate, key = directory / "server.pem", directory / "server-key.pem"
    if not (authority.exists() and authority_key.exists()):
        _make_authority(authority, authority_key)
        certificate.unlink(missing_ok=True)
    if not _fits(certificate, key, names):
        _make_server(authority, authority_key, certificate, key, names)
    return authority, certificate, key


def own_addresses() -> list[str]:
    """This host's name and addresses, for a server that listens on all of them."""
    name = socket.gethostname()
    addresses = {name}
    with contextlib.suppress(OSError):  # a name that does not resolve is only a name
        addresses |= {str(found[4][0]).partition("%")[0] for found in socket.getaddrinfo(name, None)}
    return sorted(addresses - {"127.0.0.1", "::1", "localhost"})


def _make_authority(certificate: Path, key_file: Path) -> None:
    from cryptography import x509
    from cryptography.hazmat.primitives import hashes
    from cryptography.hazmat.primitives.asymmetric import ec
    from cryptography.x509.oid import NameOID

    key = ec.generate_private_key(ec.SECP256R1())
    name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, f"Lambent authority {os.urandom(4).hex()}")])
    made = (
        _builder(name, name, key.public_key(), _AUTHORITY_LIFETIME)
        .add_extension(x509.BasicConstraints(ca=True, path_length=0), critical=True)
        .add_extension(_usage(sign_certificates=True), critical=True)
        .sign(key, hashes.SHA256())
    )
    _write_key(key_file, key)
    _write(certificate, made, 0o644)


def _make_server(authority: Path, authority_key: Path, certificate: Path, key_file: Path, names: Sequence[str]) -> None:
    from cryptography import x509
    from cryptography.hazmat.primitives import hashes, serialization
    from cryptography.hazmat.primitives.asymmetric import ec
    from cryptography.x509.oid import ExtendedKeyUsageOID, NameOID

    issuer = x509.load_pem_x509_certificate(authority.read_bytes())
    signer = serialization.load_pem_private_key(authority_key.read_bytes(), None)
    if not isinstance(signer, ec.EllipticCurvePrivateKey):
        raise TlsError(f"{authority_key} is not a key that Lambent made")
    key = ec.generate_private_key(ec.SECP256R1())
    name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "Lambent")])
    made = (
        _builder(name, issuer.subject, key.public_key(), _SERVER_LIFETIME)
        .add_extension(x509.BasicConstraints(ca=False, path_length=None), critical=True)
        .add_extension(_usage(sign_certificates=False), critical=True)
        .add_extension(x509.ExtendedKeyUsage([ExtendedKeyUsageOID.SERVER_AUTH]), critical=False)
        .add_extension(x509.SubjectAlternativeName([_general_name(each) for each in names]), critical=False)
        .add_extension(x509.AuthorityKeyIdentifier.from_issuer_public_key(signer.public_key()), critical=False)
        .sign(signer, hashes.SHA256())
    )
    _write_key(key_file, key)
    _write(certificate, made, 0o644)


def _builder(
    subject: x509.Name, issuer: x509.Name, public_key: ec.EllipticCurvePublicKey, lifetime: dt.timedelta
) -> x509.CertificateBuilder:
    from cryptography import x509

    now = dt.datetime.now(dt.UTC)
    return (
        x509.CertificateBuilder()
        .subject_name(subject)
        .issuer_name(issuer)
        .public_key(public_key)
        .serial_number(x509.random_serial_number())
        .not_valid_before(now - dt.timedelta(hours=1))  # a client's clock may be behind
        .not_valid_after(now + lifetime)
        .add_extension(x509.SubjectKeyIdentifier.from_public_key(public_key), critical=False)
    )


def _usage(*, sign_certificates: bool) -> x509.KeyUsage:
    from cryptography import x509

    return x509.KeyUsage(
        digital_signature=True, content_commitment=False, key_encipherment=False, data_encipherment=False,
        key_agreement=False, key_cert_sign=sign_certificates, crl_sign=sign_certificates, encipher_only=False,
        decipher_only=False,
    )  # fmt: skip


def _general_name(name: str) -> x509.GeneralName:
    from cryptography import x509

    with contextlib.suppress(ValueError):
        return x509.IPAddress(ipaddress.ip_address(name))
    return x509.DNSName(name)


def _fits(certificate: Path, key: Path, names: Sequence[str]) -> bool:
    """Whether the server's certificate is there, is for these names and is not about to end."""
    from cryptography import x509

    if not (certificate.exists() and key.exists()):
        return False
    try:
        known = x509.load_pem_x509_certificate(certificate.read_bytes())
    except ValueError:
        return False
    alternatives = known.extensions.get_extension_for_class(x509.SubjectAlternativeName).value
    lasts = known.not_valid_after_utc - dt.datetime.now(dt.UTC) > _RENEW_BEFORE
    return lasts and set(alternatives) == {_general_name(name) for name in names}


def _write(path: Path, certificate: x509.Certificate, mode: int) -> None:
    from cryptography.hazmat.primitives.serialization import Encoding

    _write_bytes(path, certificate.public_bytes(Encoding.PEM), mode)


def _write_key(path: Path, key: ec.EllipticCurvePrivateKey) -> None:
    from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat

    _write_bytes(path, key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption()), 0o600)


def _write_bytes(path: Path, data: bytes, mode: int) -> None:
    """Whole or not at all, and never readable by others for a moment."""
    temporary = path.with_suffix(".new")
    temporary.unlink(missing_ok=True)
    fd = os.open(temporary, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, mode)
    try:
        os.write(fd, data)
        os.fsync(fd)
    finally:
        os.close(fd)
    temporary.rename(path)
