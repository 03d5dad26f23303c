"""CloudWatch Logs."""

from collections.abc import Callable
from typing import Any

from moto.logs.exceptions import InvalidParameterException
from moto.logs.models import LogsBackend

from ..rules import strict

Original = Callable[..., Any]

_DAYS = {1, 3, 5, 7, 14, 30, 60, 90, 120, 150, 180, 365, 400, 545, 731, 1096, 1827, 2192, 2557, 2922, 3288, 3653}


@strict.around(LogsBackend, "put_retention_policy")
def retention_days(original: Original, logs: Any, log_group_name: str, retention_in_days: str) -> None:
    """A log group is kept for one of a list of days.

    AWS: AmazonCloudWatchLogs/latest/APIReference/API_PutRetentionPolicy.html
    """
    if int(retention_in_days) not in _DAYS:
        raise InvalidParameterException(f"{retention_in_days} is no number of days that logs are kept for")
    original(logs, log_group_name, retention_in_days)
