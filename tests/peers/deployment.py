"""Reads a file for Kubernetes or Compose and prints its documents as a JSON list.

usage: deployment.py read|compose FILE

`compose` holds the file to the Compose specification first; each fault goes to standard error, exit code 1.
"""

import json
import sys
from pathlib import Path

import yaml

how, file = sys.argv[1:]
with open(file, encoding="utf-8") as text:
    documents = list(yaml.safe_load_all(text))

if how == "compose":
    import jsonschema

    schema = Path(__file__).parent.parent / "schemas" / "compose-spec.json"
    schema = json.loads(schema.read_text())
    validator = jsonschema.validators.validator_for(schema)(schema)
    faults = [f"{e.json_path}: {e.message}" for d in documents for e in validator.iter_errors(d)]
    if faults:
        sys.exit("\n".join(faults))

print(json.dumps(documents))
