"""Absolute paths of an instance, moved below its directory."""

import re
from pathlib import Path

PREFIXES = ("/opt/cortex", "/etc/ecs", "/etc/cortex", "/etc/systemd/system", "/var/lib/cortex")

# Not in the middle of another path, which includes one that was moved already; and whole names only.
_BEFORE, _AFTER = r"(?<![\w.}-])", r"(?![\w.-])"


def moved(text: str, places: dict[str, str]) -> str:
    """Each path of `places`, and what is below it, by the place that it stands for."""
    if not places:
        return text
    longest_first = sorted(places, key=len, reverse=True)
    pattern = f"{_BEFORE}({'|'.join(map(re.escape, longest_first))}){_AFTER}"
    return re.sub(pattern, lambda found: places[found[1]], text)


def of_host(root: Path) -> dict[str, str]:
    return {prefix: f"{root}{prefix}" for prefix in PREFIXES}
