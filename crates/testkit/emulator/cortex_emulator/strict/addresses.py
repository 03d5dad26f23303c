"""Elastic IP addresses."""

from collections.abc import Callable
from typing import Any

from moto.ec2.models.elastic_ip_addresses import ElasticAddressBackend
from moto.ec2.responses.elastic_ip_addresses import ElasticIPAddresses

from ..errors import AwsError
from ..rules import strict

Original = Callable[..., Any]


@strict.around(ElasticAddressBackend, "release_address")
def address_in_use(
    original: Original, ec2: Any, address: str | None = None, allocation_id: str | None = None
) -> None:
    """An address is released after what uses it.

    AWS: AWSEC2/latest/APIReference/API_ReleaseAddress.html
    """
    found = ec2.address_by_ip([address]) if address else ec2.address_by_allocation([allocation_id])
    if found[0].association_id:
        message = f"Address {found[0].public_ip} is in use."
        raise AwsError("InvalidIPAddress.InUse", message)
    original(ec2, address, allocation_id)


@strict.around(ElasticIPAddresses, "disassociate_address")
def address_of_nat(original: Original, response: Any) -> Any:
    """The address of a NAT gateway is taken from it by deleting the gateway.

    AWS: vpc/latest/userguide/nat-gateway-working-with.html
    """
    association_id, public_ip = response._get_param("AssociationId"), response._get_param("PublicIp")
    for found in response.ec2_backend.addresses:
        mine = association_id and found.association_id == association_id
        if (mine or (public_ip and found.public_ip == public_ip)) and found.eni is not None:
            if getattr(found.eni, "interface_type", "") == "nat_gateway":
                message = "You do not have permission to access the specified resource."
                raise AwsError("AuthFailure", message, 403)
    return original(response)
