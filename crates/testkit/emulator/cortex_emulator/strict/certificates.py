"""Certificates of ACM."""

from collections.abc import Callable
from typing import Any

from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat, load_pem_private_key
from cryptography.x509 import load_pem_x509_certificate
from moto.acm.models import AWSCertificateManagerBackend
from moto.core.exceptions import JsonRESTError
from moto.elbv2.models import elbv2_backends

from ..rules import strict

Original = Callable[..., Any]


@strict.around(AWSCertificateManagerBackend, "delete_certificate")
def certificate_in_use(original: Original, acm: Any, arn: str) -> None:
    """A certificate is deleted after the listeners that use it.

    AWS: acm/latest/APIReference/API_DeleteCertificate.html
    """
    for balancer in elbv2_backends[acm.account_id][acm.region_name].load_balancers.values():
        if any(arn in listener.certificates for listener in balancer.listeners.values()):
            raise JsonRESTError("ResourceInUseException", f"Certificate {arn} in account {acm.account_id} is in use.")
    original(acm, arn)


@strict.around(AWSCertificateManagerBackend, "import_certificate")
def key_of_certificate(original: Original, acm: Any, certificate: bytes, private_key: bytes, *rest: Any, **named: Any) -> Any:
    """A certificate is imported with the key that it is of.

    AWS: acm/latest/userguide/import-certificate-prerequisites.html
    """
    try:
        mine = load_pem_x509_certificate(certificate).public_key()
        keys = load_pem_private_key(private_key, None).public_key()
    except (TypeError, ValueError):
        return original(acm, certificate, private_key, *rest, **named)
    form = (Encoding.DER, PublicFormat.SubjectPublicKeyInfo)
    if mine.public_bytes(*form) != keys.public_bytes(*form):
        raise JsonRESTError("ValidationException", "The private key does not match the certificate.")
    return original(acm, certificate, private_key, *rest, **named)
