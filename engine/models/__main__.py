"""`python -m engine.models FOLDER --workspace DIR`: makes a model folder of this machine a base model.

A path comes from the terminal of the person whose machine it is, never over the API. Prints one JSON object:
the model's `BaseModelInfo`, or `{"failure": …}` with exit code 2.
"""

import argparse
import json
import sys
from pathlib import Path

from engine.contract.failures import EngineFailure
from engine.models.catalog import add_local_model
from engine.workspace import Workspace


def main(arguments: list[str] | None = None) -> int:
    parser = argparse.ArgumentParser(prog="python -m engine.models")
    parser.add_argument("folder", type=Path)
    parser.add_argument("--workspace", type=Path, required=True)
    options = parser.parse_args(arguments)
    workspace = Workspace(options.workspace.resolve())
    try:
        workspace.create()
        print(add_local_model(workspace, options.folder).model_dump_json())
    except EngineFailure as error:
        print(json.dumps({"failure": error.failure.model_dump()}))
        return 2
    return 0


if __name__ == "__main__":
    sys.exit(main())
