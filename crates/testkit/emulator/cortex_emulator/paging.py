"""Small pages: AWS may answer a list in parts whatever was asked for, so clients have to follow the tokens.

A page holds `size` items, or an eighth of a long list, so that listing 1,400 instance types takes 8 requests, not 280.
"""

import re
from dataclasses import dataclass
from typing import Any

from moto.core.responses import ActionResult, BaseResponse
from moto.core.utils import get_pagination_model

from .errors import AwsError
from .rules import strict


@dataclass
class Page:
    """Where in a list one request is."""

    model: dict[str, Any]
    limit: int | None
    start: int = 0
    # Moto's own token, for lists of which it answers a part at a time.
    inner: str = ""


class Pages:
    def __init__(self) -> None:
        self.size = 5

    def set(self, size: int) -> dict[str, int]:
        self.size = int(size)
        return {"size": self.size}

    def forget(self) -> None:
        self.size = 5


PAGES = Pages()


@strict.around(BaseResponse, "call_action")
def small_pages(original: Any, response: Any) -> Any:
    """A list is answered in pages, with a token for the next one.

    AWS: AWSEC2/latest/APIReference/Query-Requests.html
    AWS: IAM/latest/UserGuide/cli-pagination.html
    """
    response.cortex_page = None
    model = _model(response)
    if model is not None:
        # Moto is asked for the whole list, or for as much of it as it answers at once.
        limit = response.params.pop(model.get("limit_key"), None)
        token = response.params.pop(model["input_token"], None)
        page = Page(model, int(limit) if limit else None)
        found = re.fullmatch(r"page-(\d+)-(.*)", str(token)) if token else None
        if found:
            page.start = int(found[1])
            if found[2]:
                response.params[model["input_token"]] = page.inner = found[2]
        elif token:
            code = "InvalidNextToken" if response.service_name == "ec2" else "ValidationError"
            return response.serialized(ActionResult(AwsError(code, f"The token '{token}' is invalid.")))
        response.cortex_page = page
    return original(response)


@small_pages.around(BaseResponse, "serialized")
def _(original: Any, response: Any, action_result: ActionResult) -> Any:
    page, result = getattr(response, "cortex_page", None), action_result.result
    if page is not None and isinstance(result, dict) and result.get(page.model["result_key"]) is not None:
        _cut(page, result)
    return original(response, action_result)


def _cut(page: Page, result: dict[str, Any]) -> None:
    items = list(result[page.model["result_key"]])
    size = min(page.limit or len(items), max(PAGES.size, -(-len(items) // 8)))
    end = page.start + size
    result[page.model["result_key"]] = items[page.start : end]
    moto_goes_on = result.get(page.model["output_token"])
    if end < len(items):
        result[page.model["output_token"]] = f"page-{end}-{page.inner}"
    elif moto_goes_on:
        result[page.model["output_token"]] = f"page-0-{moto_goes_on}"
    if "more_results" in page.model and result.get(page.model["output_token"]):
        result[page.model["more_results"]] = True


def _model(response: BaseResponse) -> dict[str, Any] | None:
    """Only of operations with one list and one token, and only where moto has parsed the parameters."""
    if not response.automated_parameter_parsing or not isinstance(getattr(response, "params", None), dict):
        return None
    try:
        model = get_pagination_model(response.boto3_service_name).get(response._get_action())
    except Exception:  # no service of that name pages
        return None
    if model is None or not isinstance(model["result_key"], str) or not isinstance(model["input_token"], str):
        return None
    return model if "." not in model["result_key"] else None
