"""`python -m engine.comparing ZIP --prompt TEXT...`: what the base and the tuned voice of a download answer.

All prompts are answered side by side, as in the studio; a download proves itself apart from this project
(`engine/opening.py`, by which it is unpacked and checked here as well). Prints one JSON object; exit code 2
carries `{"failure": …}` instead.
"""

import argparse
import json
import os
import sys
from contextlib import redirect_stdout
from pathlib import Path
from typing import Any

from engine.contract.failures import EngineFailure
from engine.contract.records import Side
from engine.opening import Refused, check_model, find_base, place_failure, unpacked
from engine.sampling import Sampling

SIDES: tuple[Side, ...] = ("base", "tuned")


def compare(archive: Path, prompts: list[str], base: Path | None, sampling: Sampling) -> dict[str, Any]:
    """Raises Refused for an archive, base or prompt that cannot be used, EngineFailure for an artefact."""
    from engine.tuned_model import TunedModel

    with unpacked(archive) as (folder, manifest):
        base_folder = find_base(folder, manifest, base)
        check_model(base_folder)
        is_adapter = (folder / "adapter").is_dir()
        artefact = folder / ("adapter" if is_adapter else "model")
        model = TunedModel(base_folder, artefact, is_adapter, tokenizer_folder=artefact)
        asked = [(side, prompt) for prompt in prompts for side in SIDES]
        texts = iter([text for text, _ in model.answer_all(asked, sampling)])
        answers = [{"prompt": prompt, **{side: next(texts) for side in SIDES}} for prompt in prompts]
    return {"method": manifest["method"], "model": manifest["base_model"]["name"], "answers": answers}


def main(argv: list[str]) -> int:
    os.environ.update(HF_HUB_OFFLINE="1", TOKENIZERS_PARALLELISM="false")
    parser = argparse.ArgumentParser(prog="comparing", description=__doc__)
    parser.add_argument("archive", type=Path)
    parser.add_argument("--base", type=Path, help="the base model's folder, where the zip has none")
    parser.add_argument("--prompt", action="append", required=True, help="may be given several times")
    parser.add_argument("--max-tokens", type=int, default=160, help="longest answer, in tokens")
    options = parser.parse_args(argv)
    sampling = Sampling(max(1, options.max_tokens))
    try:
        # What a library prints must not get into the one object that is our answer.
        with redirect_stdout(sys.stderr):
            result = compare(options.archive, options.prompt, options.base, sampling)
    except Refused as refused:
        result = {"failure": refused.failure}
    except EngineFailure as failed:
        result = {"failure": failed.failure.model_dump()}
    except OSError as error:
        result = {"failure": place_failure(error)}
    print(json.dumps(result))
    return 2 if "failure" in result else 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
