"""Reads a page of metrics from standard input with the parser of Prometheus' own Python client, and prints what is in it:
{family: {"type": ..., "labels": [...], "samples": [[name, labels, value], ...]}}. Fails if that parser does, if a family or
a series is there twice, or if a histogram is not one.
"""

import json
import sys

from prometheus_client.parser import text_string_to_metric_families

found = {}
for family in text_string_to_metric_families(sys.stdin.read()):
    # Its own convention: counters are named without the suffix.
    name = family.name + "_total" if family.type == "counter" else family.name
    assert name not in found, f"{name} is there twice"
    assert family.type in ("counter", "gauge", "histogram"), f"{name} is of type {family.type}"
    assert family.documentation, f"{name} has no help"
    series = [(sample.name, tuple(sorted(sample.labels.items()))) for sample in family.samples]
    assert len(series) == len(set(series)), f"{name} has a series twice"
    if family.type == "histogram":
        buckets = {}
        for sample in family.samples:
            labels = {key: value for key, value in sample.labels.items() if key != "le"}
            key = json.dumps(labels, sort_keys=True)
            if sample.name.endswith("_bucket"):
                buckets.setdefault(key, []).append(sample.value)
            elif sample.name.endswith("_count"):
                assert buckets[key] == sorted(buckets[key]), f"the buckets of {name} are not cumulative"
                assert buckets[key][-1] == sample.value, f"{name} has another count than its last bucket"
    found[name] = {
        "type": family.type,
        "labels": sorted({label for sample in family.samples for label in sample.labels}),
        "samples": [[sample.name, sample.labels, sample.value] for sample in family.samples],
    }
json.dump(found, sys.stdout)
