"""The `voicewright` command: without a word it opens the studio; with one it does one job in the terminal.

Knows the arguments and exit codes: 0 done, 1 the port is taken or the run failed, 2 the input is at fault.
"""

import argparse
import sys
from pathlib import Path
from typing import Any, NoReturn

from platformdirs import user_data_path

from engine.contract.failures import EngineFailure
from engine.contract.records import BUNDLED_MODEL, MAX_ANSWER_TOKENS, METHOD_NAMES


class Parser(argparse.ArgumentParser):
    """An argument parser whose complaint is one sentence."""

    def error(self, message: str) -> NoReturn:
        self.exit(2, f"{message[:1].upper()}{message[1:].rstrip('.')}. See {self.prog} --help.\n")


def build_parser() -> argparse.ArgumentParser:
    shared = Parser(add_help=False)
    shared.add_argument(
        "--workspace", type=Path, default=user_data_path("voicewright"), help="folder of your projects"
    )
    file_job = Parser(add_help=False)
    file_job.add_argument("file", type=Path, metavar="FILE.csv")
    file_job.add_argument("--json", action="store_true", help="print one JSON object instead of sentences")

    parser = Parser(
        prog="voicewright", description="Tune a language model to your brand's voice.", parents=[shared]
    )
    parser.add_argument("--port", type=int, default=None, help="port of the studio on this machine")
    parser.add_argument("--no-browser", action="store_true", help="do not open the browser")
    jobs = parser.add_subparsers(
        dest="job", parser_class=Parser, metavar="tune | check | estimate | compare | models"
    )

    tune = jobs.add_parser("tune", parents=[shared, file_job], help="tune a voice and write the download")
    tune.add_argument("--method", choices=METHOD_NAMES, required=True)
    tune.add_argument("--epochs", type=int, default=None)
    tune.add_argument("--seed", type=int, default=0)
    tune.add_argument("--out", type=Path, required=True, metavar="voice.zip")
    tune.add_argument("--with-base", action="store_true", help="put the base model into the download")
    estimate = jobs.add_parser(
        "estimate", parents=[shared, file_job], help="time, memory and money of each method"
    )
    check = jobs.add_parser(
        "check", parents=[shared, file_job], help="read the examples and say what to mend"
    )
    for job in (tune, estimate, check):
        job.add_argument("--model", default=BUNDLED_MODEL, metavar="NAME_OR_PATH")

    compare = jobs.add_parser(
        "compare", parents=[shared], help="ask the untouched and the tuned model the same prompts"
    )
    compare.add_argument("zip", type=Path, metavar="voice.zip")
    compare.add_argument("--prompt", action="append", required=True, dest="prompts", metavar="TEXT")
    compare.add_argument("--max-tokens", type=int, default=160, help=f"1 to {MAX_ANSWER_TOKENS}")
    compare.add_argument(
        "--base", type=Path, default=None, help="folder of a base model that is not in the zip"
    )
    compare.add_argument("--json", action="store_true")
    add_model_jobs(jobs, shared)
    return parser


def add_model_jobs(jobs: Any, shared: argparse.ArgumentParser) -> None:
    models = jobs.add_parser("models", help="list, add, remove and export base models")
    todo = models.add_subparsers(
        dest="models_job", parser_class=Parser, metavar="list | add | remove | export", required=True
    )
    words = Parser(add_help=False)
    words.add_argument("--json", action="store_true", help="print JSON instead of sentences")
    parents = [shared, words]
    todo.add_parser("list", parents=parents, help="the base models that can be tuned here")
    add = todo.add_parser("add", parents=parents, help="a folder or GGUF file becomes a base model")
    add.add_argument("path", type=Path, metavar="PATH")
    remove = todo.add_parser("remove", parents=parents, help="take a base model off the list")
    remove.description = "Your own files stay where they are; the copy of a file that was dropped is deleted."
    remove.add_argument("name", metavar="NAME")
    export = todo.add_parser("export", parents=parents, help="write a base model as a standard folder")
    export.add_argument("folder", type=Path, metavar="FOLDER")
    export.add_argument("--model", default=BUNDLED_MODEL, metavar="NAME")


def main(arguments: list[str] | None = None) -> int:
    options = build_parser().parse_args(arguments)
    try:
        if options.job is None:
            from studio.opening import open_studio

            return open_studio(options.workspace.resolve(), options.port, not options.no_browser)
        from studio import terminal

        return terminal.JOBS[options.job](options)
    except EngineFailure as error:
        print(error.failure.sentence, file=sys.stderr)
        return terminal_exit_code(error)
    except KeyboardInterrupt:
        return 130


def terminal_exit_code(error: EngineFailure) -> int:
    """2 where the person's input or choice is at fault, 1 where the work itself failed."""
    at_fault = {
        "bad_request",
        "too_few_examples",
        "too_many_examples",
        "model_unusable",
        "workspace_unusable",
        "not_found",
        "artefact_damaged",
    }
    return 2 if error.failure.code in at_fault else 1


if __name__ == "__main__":
    sys.exit(main())
