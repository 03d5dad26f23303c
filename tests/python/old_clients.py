"""Calls a cluster with the clients of Predictive Services, unchanged but for a translation from Python 2.

    python old_clients.py DIRECTORY ENDPOINT KEY

Translates the installed clients into DIRECTORY and prints what they got, as JSON. Certificates are verified, by the authorities
in REQUESTS_CA_BUNDLE if that is set.
"""

import importlib.util
import json
import logging
import pathlib
import shutil
import subprocess
import sys

CLIENTS = ["psquery", "graphlab_service_client"]


def translate(directory):
    for name in CLIENTS:
        installed = pathlib.Path(importlib.util.find_spec(name).origin).parent
        shutil.copytree(installed, directory / name, ignore=shutil.ignore_patterns("__pycache__"))
    command = [sys.executable, "-m", "fissix", "--write", "--nobackups", "--no-diffs"]
    subprocess.run([*command, *(str(directory / name) for name in CLIENTS)], check=True, capture_output=True)


def outcome(call):
    """What a call returns, or what it raises."""
    try:
        result = call()
    except Exception as error:
        return {"raised": type(error).__name__, "text": str(error)}
    # GraphLab's client gives feedback's answer as it came.
    return result if isinstance(result, dict) else {"status": result.status_code, "json": result.json()}


def calls(query, feedback, connect_with):
    arguments = {"a": 1, "name": "María"}
    method = {"method": "predict", "data": {"dataset": [{"x": 1.5}]}}
    return {
        "function": outcome(lambda: query("echo", **arguments)),
        "method": outcome(lambda: query("echo", **method)),
        "raises": outcome(lambda: query("raises", a=1)),
        "nobody": outcome(lambda: query("no such model", a=1)),
        "feedback": outcome(feedback),
        "wrong key": outcome(lambda: connect_with("wrong").query("echo", a=1)),
    }


def main():
    directory, endpoint, key = pathlib.Path(sys.argv[1]), sys.argv[2], sys.argv[3]
    translate(directory)
    sys.path.insert(0, str(directory))
    import graphlab_service_client
    import psquery

    logging.disable(logging.INFO)

    def graphlab(key):
        return graphlab_service_client.PredictiveServiceClient(endpoint, key, True)

    def turi(key):
        return psquery.connect(query_endpoint=endpoint, api_key=key, verify_certificate=True)

    old, new = graphlab(key), turi(key)
    seen = {
        "graphlab": calls(old.query, lambda: old.feedback("uuid", {"clicks": 3}), graphlab),
        "psquery": calls(new.query, lambda: new.feedback("uuid", clicks=3), turi),
    }
    # As in the documentation of its time.
    slash = psquery.connect(query_endpoint=endpoint + "/", api_key=key, verify_certificate=True)
    seen["psquery"]["positional"] = outcome(lambda: slash.query("echo", 1, [2]))
    print(json.dumps(seen))


main()
