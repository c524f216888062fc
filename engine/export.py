"""`python -m engine.export RUN_FOLDER`: from a tuned run to a download that has tested itself.

Reads export-order.json, answers a few held-out prompts, builds the zip, lets a fresh process open it with
stock libraries, and puts voice.zip in its place only if that process got the very same answer. How it stands
is in export.json all along. Does not know what lies inside a download (`download.py`) nor how it is opened
(`opening.py`).
"""

import errno
import hashlib
import json
import os
import shutil
import subprocess
import sys
import tempfile
import traceback
from pathlib import Path
from typing import Any

import torch

from engine import opening
from engine.contract.failures import EngineFailure, Failure
from engine.contract.records import Example, Export
from engine.conversation import chat_template
from engine.download import Sample, build_content, write_archive
from engine.encoding import encode_prompt
from engine.methods import get_method
from engine.models.inspect import fingerprint
from engine.models.load import load_tokenizer
from engine.run_files import ExportOrder, Order
from engine.sampling import Sampling
from engine.tuned_model import TunedModel
from engine.workspace import RunFolder, sync_folder, write_durably

SAMPLES = 5
SAMPLE_TOKENS = 96
_CHECK_SECONDS = 1800
_SCRATCH_PREFIX = ".export-"


def export_run(folder: RunFolder) -> Export:
    """Build, check, publish. Every state is written to export.json; the last one is returned."""
    order = ExportOrder.model_validate_json(folder.export_order.read_bytes())
    _report(folder, Export(state="building"))
    for stale in folder.root.glob(f"{_SCRATCH_PREFIX}*"):
        shutil.rmtree(stale, ignore_errors=True)
    try:
        with tempfile.TemporaryDirectory(prefix=_SCRATCH_PREFIX, dir=folder.root) as scratch:
            return _report(folder, _build_and_check(folder, order, Path(scratch)))
    except Exception as error:
        traceback.print_exc()
        folder.download.unlink(missing_ok=True)
        return _report(folder, Export(state="failed", failure=_failure(error)))


def _build_and_check(folder: RunFolder, order: ExportOrder, scratch: Path) -> Export:
    _refuse_changed_base(folder, order)
    archive = scratch / "voice.zip"
    reference = build_archive(order, folder.artefact, scratch, archive)
    built = Export(state="checking", reference_prompt=reference.prompt, reference_answer=reference.tuned)
    _report(folder, built)
    checked_with = check_in_fresh_process(archive, order.base_model_folder, scratch)
    with archive.open("rb") as stream:
        os.fsync(stream.fileno())
        sha256 = hashlib.file_digest(stream, "sha256").hexdigest()
    size = archive.stat().st_size
    archive.replace(folder.download)
    sync_folder(folder.root)
    return built.model_copy(
        update={"state": "ready", "bytes": size, "sha256": sha256, "checked_with": checked_with}
    )


def _refuse_changed_base(folder: RunFolder, order: ExportOrder) -> None:
    tuned_on = Order.model_validate_json(folder.order.read_bytes()).base_model_fingerprint
    if fingerprint(order.base_model_folder) != tuned_on:
        raise EngineFailure(
            "model_unusable",
            f"The base model “{order.base_model.title}” has changed since this voice was tuned on it.",
            "What was learnt is safe, but it fits only the base model as it was.",
            "Put the earlier base model back, or tune the voice again.",
        )


def build_archive(order: ExportOrder, artefact: Path, scratch: Path, archive: Path) -> Sample:
    """Write the zip; the sample whose answer is its reference."""
    is_adapter = get_method(order.run.recipe.method).IS_ADAPTER
    model = TunedModel(order.base_model_folder, artefact, is_adapter)
    tokenizer = load_tokenizer(order.base_model_folder)
    samples = answer_samples(model, tokenizer, read_held_out(order.dataset_file))
    # The answer that stayed farthest from a tie is the one that other processors give as well.
    reference = max(samples, key=lambda sample: (bool(sample.tuned.strip()), sample.margin))
    tokenizer_folder = scratch / "tokenizer"
    tokenizer.chat_template = chat_template(tokenizer)
    tokenizer.save_pretrained(tokenizer_folder)
    ends = sorted(model.end_token_ids)
    write_archive(build_content(order, artefact, tokenizer_folder, samples, reference, ends), archive)
    return reference


# --- samples ------------------------------------------------------------------------------------------


def read_held_out(dataset_file: Path) -> list[Example]:
    """The held-out examples, each prompt once; all examples if none was held out.

    Those that go on from earlier turns come last: a download shows prompts that stand alone.
    """
    with dataset_file.open(encoding="utf-8") as lines:
        examples = [Example.model_validate_json(line) for line in lines if line.strip()]
    held_out = [example for example in examples if example.split == "validation"] or examples
    by_prompt: dict[str, Example] = {}
    for example in sorted(held_out, key=lambda example: bool(example.turns)):
        by_prompt.setdefault(example.prompt, example)
    return list(by_prompt.values())


def answer_samples(model: TunedModel, tokenizer: Any, examples: list[Example]) -> list[Sample]:
    """Base and tuned answers, always of the likeliest tokens, to the first prompts that stock code reads as
    we do."""
    window = model.window_tokens // 2
    readable = [example for example in examples if _reads_as_stock(tokenizer, example.prompt, window)]
    chosen = (readable or examples)[:SAMPLES]
    sampling = Sampling(max_tokens=min(SAMPLE_TOKENS, model.window_tokens // 4))
    base = model.answer_all([("base", example.prompt) for example in chosen], sampling)
    tuned = model.answer_all([("tuned", example.prompt) for example in chosen], sampling)
    return [
        Sample(
            prompt=example.prompt,
            base=its_base,
            tuned=its_tuned,
            own=example.completion,
            max_tokens=sampling.max_tokens,
            margin=decoding.margin,
        )
        for example, (its_base, _), (its_tuned, decoding) in zip(chosen, base, tuned, strict=True)
    ]


def _reads_as_stock(tokenizer: Any, prompt: str, max_tokens: int) -> bool:
    """False for a prompt that spells a special token or fills the window: stock code reads it differently."""
    stock = tokenizer.apply_chat_template(
        [{"role": "user", "content": prompt}],
        chat_template=chat_template(tokenizer),
        add_generation_prompt=True,
        return_dict=True,
    )
    return bool(encode_prompt(tokenizer, prompt, max_tokens) == stock["input_ids"])


# --- the check ----------------------------------------------------------------------------------------


def check_in_fresh_process(archive: Path, base_folder: Path, scratch: Path) -> str:
    """The stock libraries that reproduced the reference answer; EngineFailure if they did not."""
    empty = scratch / "check"
    empty.mkdir(exist_ok=True)
    finished = subprocess.run(
        [sys.executable, "-I", opening.__file__, "check", str(archive), "--base", str(base_folder)],
        cwd=empty,
        env={**_check_environment(), "TMPDIR": str(empty)},
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        timeout=_CHECK_SECONDS,
        check=False,
    )
    result = _read_result(finished.stdout)
    if finished.returncode == 0 and result.get("reproduced") is True:
        return str(result["checked_with"])
    print("the check said:", json.dumps(result), file=sys.stderr)
    raise EngineFailure(
        "download_not_reproduced",
        "The download was opened in a fresh process with standard libraries and did not give the same "
        "answer, so it is not offered.",
        "Your tuned voice is safe and can still be compared here.",
        "Build the download again. If this comes back, tune the voice again.",
    )


def _check_environment() -> dict[str, str]:
    passed_on = ("PATH", "HOME", "LANG", "LC_ALL", "LD_LIBRARY_PATH", "OMP_NUM_THREADS", "OMP_WAIT_POLICY")
    return {name: os.environ[name] for name in passed_on if name in os.environ}


def _read_result(output: bytes) -> dict[str, Any]:
    try:
        result = json.loads(output)
    except ValueError:
        return {}
    return result if isinstance(result, dict) else {}


# --- how it stands ------------------------------------------------------------------------------------


def _report(folder: RunFolder, export: Export) -> Export:
    write_durably(folder.export_report, export.model_dump_json().encode())
    return export


def _failure(error: Exception) -> Failure:
    if isinstance(error, EngineFailure):
        return error.failure
    safe = "Your tuned voice is safe."
    if isinstance(error, OSError) and error.errno in (errno.ENOSPC, errno.EDQUOT):
        return Failure(
            code="disk_full",
            what_happened="The disk is full, so the download could not be written.",
            what_you_have=safe,
            what_to_do="Free some space and build the download again.",
        )
    if isinstance(error, MemoryError | torch.OutOfMemoryError):
        return Failure(
            code="out_of_memory",
            what_happened="Building the download needed more memory than this machine has free.",
            what_you_have=safe,
            what_to_do="Close other programs and build the download again.",
        )
    return Failure(
        code="unexpected",
        what_happened="The download could not be built for a reason we did not foresee.",
        what_you_have=safe,
        what_to_do="Build the download again.",
    )


def main(argv: list[str]) -> int:
    os.environ.update(HF_HUB_OFFLINE="1", TOKENIZERS_PARALLELISM="false")
    return 0 if export_run(RunFolder(Path(argv[0]).resolve())).state == "ready" else 1


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
