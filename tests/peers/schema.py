"""Validates JSON against a schema that fleetcall prints, and finds keys that it does not describe.

usage: schema.py SCHEMA FILE [--lines]
With --lines, FILE has a document on each line. Prints how many documents were valid.
"""

import json
import sys

import jsonschema

schema = json.load(open(sys.argv[1], encoding="utf-8"))
file = open(sys.argv[2], encoding="utf-8")
documents = [json.loads(line) for line in file] if "--lines" in sys.argv else [json.load(file)]
jsonschema.Draft202012Validator.check_schema(schema)

# A published schema lets later versions add keys; this version's files have none that it lacks.
branches = schema.get("oneOf", [])
within = {branch["$ref"].rsplit("/", 1)[-1] for branch in branches if "$ref" in branch}
closed = branches or [schema]
closed = closed + [part for name, part in schema["$defs"].items() if name not in within]
for part in closed:
    if part.get("type") == "object" and "additionalProperties" not in part:
        part["unevaluatedProperties"] = False

validator = jsonschema.Draft202012Validator(schema)
for document in documents:
    validator.validate(document)
print(len(documents))
