"""Validates a report against a published schema, and tells what is in it.

usage: valid.py sarif|junit FILE
Prints JSON: for SARIF the document as read, for JUnit the tree as [tag, attributes, text, children].
"""

import json
import sys
import xml.etree.ElementTree as tree
from pathlib import Path

kind, file = sys.argv[1:]
schemas = Path(__file__).parent.parent / "schemas"

if kind == "sarif":
    import jsonschema

    with open(file, encoding="utf-8") as text:
        document = json.load(text)
    schema = json.loads((schemas / "sarif-2.1.0.json").read_text())
    checker = jsonschema.FormatChecker()
    jsonschema.validators.validator_for(schema)(schema, format_checker=checker).validate(document)
    print(json.dumps(document))
else:
    import xmlschema

    xmlschema.XMLSchema(schemas / "junit-10.xsd").validate(file)

    def read(element):
        return [element.tag, element.attrib, element.text, [read(child) for child in element]]

    print(json.dumps(read(tree.parse(file).getroot())))
