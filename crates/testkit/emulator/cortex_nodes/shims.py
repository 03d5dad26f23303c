"""Commands that user data calls and that have to know that this is no instance."""

from pathlib import Path

from .emulator import Emulator
from .metadata import Metadata

# Which host is meant is for --connect-to to say, so `Host` is the one that was signed. Only S3's and the metadata
# service's are known; others do not resolve, as there is no other network here.
_CURL = r"""#!/bin/bash
unknown() { echo "curl: (6) Could not resolve host: $1" >&2; exit 6; }
arguments=()
while (($#)); do
  case $1 in
    --proto | --proto-redir) shift 2; continue ;;
    --proto=* | --tlsv1*) shift; continue ;;
    https://*)
      host=${1#https://} host=${host%%/*}
      [[ $host == *.s3.*.amazonaws.com || $host == *.s3.*.amazonaws.com.cn ]] || unknown "$host"
      arguments+=("http://${1#https://}") ;;
    http://*)
      [[ $1 == http://169.254.169.254/* || $1 == http://127.* ]] || unknown "$1"
      arguments+=("$1") ;;
    *) arguments+=("$1") ;;
  esac
  shift
done
@curl@ --connect-to 169.254.169.254:80:@metadata@ --connect-to :80:@emulator@ "${arguments[@]}"
status=$?
# Scripts that try again and again say nothing themselves.
((status == 0)) || echo "[nodes] curl ended with $status: ${arguments[-1]}" >>'@log@'
exit $status
"""
_SYSTEMCTL = r"""#!/bin/bash
printf '%s\n' "$*" >>'@calls@'
"""


class Shims:
    def __init__(self, root: Path, emulator: Emulator, metadata: Metadata, curl: str):
        self.directory = root / "shims"
        self._calls = root / "systemctl"
        values = {
            "curl": curl,
            "metadata": metadata.url.removeprefix("http://"),
            "emulator": emulator.endpoint.removeprefix("http://"),
            "calls": self._calls,
            "log": root / "boot.log",
        }
        self.directory.mkdir()
        for name, text in (("curl", _CURL), ("systemctl", _SYSTEMCTL)):
            path = self.directory / name
            for key, value in values.items():
                text = text.replace(f"@{key}@", str(value))
            path.write_text(text)
            path.chmod(0o755)

    def systemctl_calls(self) -> list[list[str]]:
        """The arguments of each call, in order."""
        return [line.split() for line in self._calls.read_text().splitlines()] if self._calls.exists() else []
