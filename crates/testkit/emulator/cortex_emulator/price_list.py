"""AWS's price list, which moto does not have: products that a test has put there, found by their attributes.

AWS: awsaccountbilling/latest/aboutv2/using-price-list-query-api.html
AWS: aws-cost-management/latest/APIReference/API_pricing_GetProducts.html
"""

import json
from typing import Any

from .errors import AwsError
from .request import AwsRequest

_PRODUCTS: list[dict[str, Any]] = []


def put(service: str, attributes: dict[str, str], usd: str, unit: str = "Hrs") -> dict[str, Any]:
    """One product with one price."""
    offer = {"priceDimensions": {"A.B.C": {"unit": unit, "beginRange": "0", "endRange": "Inf", "pricePerUnit": {"USD": usd}}}}
    family = {"productFamily": attributes["productFamily"]} if "productFamily" in attributes else {}
    product = family | {"sku": str(len(_PRODUCTS)), "attributes": attributes | {"servicecode": service}}
    _PRODUCTS.append({"serviceCode": service, "product": product, "terms": {"OnDemand": {"A.B": offer}}, "version": "1"})
    return {}


def forget() -> None:
    _PRODUCTS.clear()


def answer(request: AwsRequest) -> tuple[int, dict[str, str], bytes] | None:
    if request.service != "pricing":
        return None
    if request.action != "GetProducts":
        raise AwsError("UnknownOperationException", f"{request.action} is not emulated")
    asked = json.loads(request.body)
    wanted = {one["Field"]: one["Value"] for one in asked.get("Filters", [])}
    found = [
        json.dumps(product)
        for product in _PRODUCTS
        if product["serviceCode"] == asked["ServiceCode"]
        and all(product["product"]["attributes"].get(name) == value for name, value in wanted.items())
    ]
    reply = {"FormatVersion": "aws_v1", "PriceList": found}
    return 200, {"content-type": "application/x-amz-json-1.1"}, json.dumps(reply).encode()
