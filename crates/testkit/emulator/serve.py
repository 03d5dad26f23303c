"""Starts the emulator: `python serve.py --port 0 --mode strict`.

Prints one line of JSON when it accepts connections: its endpoint, and an administrator's access key. Ends when its
standard input ends, if that is asked for, so that it never outlives the test that started it.
"""

import argparse
import json
import logging
import os
import sys
import threading
from pathlib import Path
from typing import Any

# Before moto is imported, which reads them then.
os.environ.setdefault("AWS_DEFAULT_REGION", "us-east-1")
os.environ["AWS_EC2_METADATA_DISABLED"] = "true"
sys.path.insert(0, str(Path(__file__).parent))


def main() -> None:
    arguments = _parsed()
    logging.getLogger("werkzeug").setLevel(logging.ERROR)

    from cortex_emulator import fixes, server, strict
    from cortex_emulator.clock import CLOCK
    from cortex_emulator.gate import FULL, GATE, STS
    from cortex_emulator.rules import BOOK

    assert fixes and strict
    if arguments.list_rules:
        print(_table(BOOK.rules.values()))
        return
    BOOK.strict = arguments.mode == "strict"
    GATE.mode = arguments.auth or (FULL if BOOK.strict else STS)
    CLOCK.set(dict(_delay(text) for text in arguments.delays))
    if arguments.exit_with_stdin:
        threading.Thread(target=_end_with_stdin, daemon=True).start()
    server.serve(arguments.port, lambda welcome: print(json.dumps(welcome), flush=True))


def _parsed() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--port", type=int, default=5000, help="0 takes a free one; default: 5000")
    parser.add_argument("--mode", choices=["plain", "strict"], default="plain", help="plain: moto with its bugs fixed")
    parser.add_argument("--auth", choices=["off", "sts", "full"], help="default: sts for plain, full for strict")
    parser.add_argument(
        "--delays",
        nargs="*",
        default=[],
        metavar="NAME=SECONDS",
        help="how long things take, `scale=X` for all of them; nothing takes any time unless said",
    )
    parser.add_argument("--exit-with-stdin", action="store_true", help="end when standard input ends")
    parser.add_argument("--list-rules", action="store_true", help="print all rules as Markdown, and end")
    return parser.parse_args()


def _delay(text: str) -> tuple[str, float]:
    name, _, seconds = text.partition("=")
    return name, float(seconds)


def _end_with_stdin() -> None:
    while os.read(0, 4096):
        pass
    os._exit(0)


def _table(rules: Any) -> str:
    lines = []
    for area in ("fixes", "strict"):
        mine = sorted((rule for rule in rules if rule.area == area), key=lambda rule: (rule.module, rule.name))
        lines += [f"### {area}: {len(mine)} rules", "", "| rule | file | what AWS does | page |", "|---|---|---|---|"]
        for rule in mine:
            pages = ", ".join(f"[{source.rpartition('/')[2]}]({source})" for source in rule.sources)
            file = rule.module.partition(".")[2].replace(".", "/")
            lines.append(f"| `{rule.name}` | `{file}` | {rule.summary} | {pages} |")
        lines.append("")
    return "\n".join(lines)


if __name__ == "__main__":
    main()
