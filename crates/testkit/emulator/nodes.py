"""Runs the nodes of an emulator: `python nodes.py --endpoint http://127.0.0.1:PORT --directory DIR`.

Prints one line of JSON when it has begun. Ends with all that it started on SIGTERM, or when its standard input ends.
"""

import argparse
import json
import os
import signal
import sys
import threading
from collections.abc import Callable
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parent))


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--endpoint", required=True, help="of the emulator")
    parser.add_argument("--directory", required=True, type=Path, help="where the nodes' files are to be")
    parser.add_argument("--region", default="us-east-1")
    parser.add_argument("--exit-with-stdin", action="store_true", help="end when standard input ends")
    arguments = parser.parse_args()

    from cortex_nodes.emulator import Emulator
    from cortex_nodes.runner import Runner

    runner = Runner(Emulator(arguments.endpoint, arguments.region), arguments.directory.resolve())
    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, lambda *_: runner.end())
    if arguments.exit_with_stdin:
        threading.Thread(target=_end_with_stdin, args=(runner.end,), daemon=True).start()
    runner.start()
    print(json.dumps({"pid": os.getpid(), "directory": str(runner.directory)}), flush=True)
    runner.run()
    # The threads serve nobody any more.
    os._exit(0)


def _end_with_stdin(end: Callable[[], None]) -> None:
    while os.read(0, 4096):
        pass
    end()


if __name__ == "__main__":
    main()
