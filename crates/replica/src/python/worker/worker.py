"""What a worker process of the replica runs: see `cortex_worker`.

The file must stay where it is while the worker runs: `multiprocessing` reads it again in every process that it spawns.
"""

import os
import sys

# Where the package lies is of no concern to the user's code, which must not find anything else there.
OWN_DIRECTORY = os.path.dirname(os.path.abspath(__file__))
sys.path[:] = [OWN_DIRECTORY, *(entry for entry in sys.path if entry != OWN_DIRECTORY)]

from cortex_worker.process import main  # noqa: E402

del sys.path[0]

if __name__ == "__main__":
    main()
