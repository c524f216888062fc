"""Every way in which something can go wrong for a person, as one sentence each about what happened,
what they still have and what to do.

    EngineFailure (raised on both sides of the wire; carries one Failure)
      code says which; `HTTP_STATUS` maps each code to the status the API answers with

This module does not know where a failure is shown.
"""

from typing import Literal

from pydantic import BaseModel, ConfigDict

FailureCode = Literal[
    "bad_request",
    "not_found",
    "conflict",
    "too_few_examples",
    "too_many_examples",
    "model_unusable",
    "model_unpacking",
    "out_of_memory",
    "disk_full",
    "diverged",
    "stalled",
    "trainer_crashed",
    "interrupted",
    "busy",
    "download_not_reproduced",
    "artefact_damaged",
    "workspace_unusable",
    "engine_unreachable",
    "unexpected",
]

HTTP_STATUS: dict[FailureCode, int] = {
    "bad_request": 422,
    "not_found": 404,
    "conflict": 409,
    "too_few_examples": 422,
    "too_many_examples": 413,
    "model_unusable": 422,
    "model_unpacking": 503,
    "out_of_memory": 507,
    "disk_full": 507,
    "diverged": 500,
    "stalled": 500,
    "trainer_crashed": 500,
    "interrupted": 503,
    "busy": 429,
    "download_not_reproduced": 500,
    "artefact_damaged": 500,
    "workspace_unusable": 500,
    "engine_unreachable": 503,
    "unexpected": 500,
}


class Failure(BaseModel):
    """One thing that went wrong, told so that a person knows where they stand."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    code: FailureCode
    what_happened: str
    what_you_have: str = ""
    what_to_do: str = ""

    @property
    def sentence(self) -> str:
        return " ".join(part for part in (self.what_happened, self.what_you_have, self.what_to_do) if part)


class EngineFailure(Exception):  # noqa: N818 - "failure" is the word of the design
    """The one exception that crosses module and process borders; `failure` is what a person reads."""

    def __init__(
        self, code: FailureCode, what_happened: str, what_you_have: str = "", what_to_do: str = ""
    ) -> None:
        self.failure = Failure(
            code=code, what_happened=what_happened, what_you_have=what_you_have, what_to_do=what_to_do
        )
        super().__init__(self.failure.sentence)
