"""Checks that each file named is a valid OpenAPI 3.1 document, and says how many operations it has.

    python valid_openapi.py FILE...
"""

import json
import pathlib
import sys

from openapi_spec_validator import OpenAPIV31SpecValidator, validate

METHODS = {"get", "put", "post", "delete", "options", "head", "patch", "trace"}


def main():
    counts = {}
    for name in sys.argv[1:]:
        document = json.loads(pathlib.Path(name).read_text(encoding="utf-8"))
        validate(document, cls=OpenAPIV31SpecValidator)
        counts[name] = sum(len(METHODS & path.keys()) for path in document["paths"].values())
    print(json.dumps(counts))


main()
