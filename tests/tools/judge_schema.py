#!/usr/bin/env python3
"""Judges documents by a JSON Schema, with a validator that is not ours: {"schema": …, "documents": {NAME: …}} on standard input;
prints {NAME: [MISTAKE, …]}. Needs the package python3-jsonschema."""
import json, sys
import jsonschema

given = json.load(sys.stdin)
kind = jsonschema.validators.validator_for(given["schema"])
kind.check_schema(given["schema"])
judge = kind(given["schema"])
told = {name: [f"{'/'.join(map(str, fault.absolute_path))}: {fault.message[:200]}" for fault in judge.iter_errors(document)]
        for name, document in given["documents"].items()}
json.dump(told, sys.stdout)
