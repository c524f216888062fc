"""The records that travel between studio and engine, in the words of the design.

Times are UTC seconds since 1970 (float), sizes are bytes, ids are uuid4 hex. Nothing here computes.
"""

from typing import Annotated, Literal

from pydantic import BaseModel, ConfigDict, Field

from engine.contract.failures import Failure
from engine.contract.prices import load_prices

MAX_PROMPT_CHARACTERS = 8_000
MAX_COMPLETION_CHARACTERS = 4_000
MAX_EXAMPLES = 20_000
MIN_EXAMPLES = 10
MAX_ANSWER_TOKENS = 512
BALANCED_TEMPERATURE = 0.5
"""What answers are drawn at unless another is asked for; the figures of the model card are made at it too."""
BUNDLED_MODEL = "smollm2-135m-instruct"
"""Name of the base model that comes with the product."""
MAX_TURNS = 64
MAX_QUESTIONS = 32
MAX_NAME_CHARACTERS = 120

MethodName = Literal["last-layers", "all-layers", "p-tuning", "lora"]
METHOD_NAMES: tuple[MethodName, ...] = ("last-layers", "all-layers", "p-tuning", "lora")

Split = Literal["train", "validation"]
Severity = Literal["error", "warning", "note"]

RunState = Literal[
    "queued",
    "preparing",
    "training",
    "finishing",
    "succeeded",
    "paused",
    "cancelled",
    "failed",
    "interrupted",
]
ACTIVE_STATES: tuple[RunState, ...] = ("preparing", "training", "finishing")
FINAL_STATES: tuple[RunState, ...] = ("succeeded", "cancelled", "failed")

Desired = Literal["run", "pause", "stop", "cancel", "delete"]
"""What the person wants of a run. `stop` ends early and keeps the best; `cancel` keeps nothing."""

Side = Literal["base", "tuned"]
Id = Annotated[str, Field(pattern=r"^[0-9a-f]{32}$")]
Name = Annotated[str, Field(min_length=1, max_length=MAX_NAME_CHARACTERS)]


class Record(BaseModel):
    """Base of all records: unknown fields are refused, values do not change after creation."""

    model_config = ConfigDict(extra="forbid", frozen=True, allow_inf_nan=False)


# --- 1 examples -------------------------------------------------------------------------------------


class Turn(Record):
    """One earlier turn of a conversation."""

    role: Literal["system", "user", "assistant"]
    text: Annotated[str, Field(max_length=MAX_PROMPT_CHARACTERS)]


class Example(Record):
    """One prompt and the completion the voice should answer it with."""

    prompt: Annotated[str, Field(max_length=MAX_PROMPT_CHARACTERS)]
    completion: Annotated[str, Field(min_length=1, max_length=MAX_COMPLETION_CHARACTERS)]
    row: int = 0
    """Line of the person's table, counted as a spreadsheet does: the header is row 1."""
    split: Split = "train"
    turns: tuple[Turn, ...] = ()
    """Earlier turns of the conversation, oldest first."""


class Finding(Record):
    """A remark of a check: how bad, where (spreadsheet rows), what, and how to mend it."""

    severity: Severity
    kind: str
    """A stable short name of the check, such as `empty`, `duplicate`, `too-long`."""
    rows: list[int] = []
    message: str
    remedy: str = ""


class Columns(Record):
    """Which columns of the person's file played which role; prompt is None when no single one did."""

    prompt: str | None
    completion: str
    template: str | None = None
    """Joins several columns to the prompt, such as "Write a {format} about {product}"."""


class NewDataset(Record):
    """Examples to be frozen as one version of a project's dataset."""

    source_name: Name
    columns: Columns
    examples: Annotated[list[Example], Field(max_length=MAX_EXAMPLES)]


class Dataset(Record):
    """A frozen version of a project's examples. `fingerprint` is the sha256 of the canonical JSON lines."""

    id: Id
    project_id: Id
    version: int
    created_at: float
    source_name: str
    columns: Columns
    examples_train: int
    examples_validation: int
    fingerprint: str


class TokenCounts(Record):
    """Tokens of each example (prompt and completion with the chat template) against the model's window."""

    window_tokens: int
    prompt_tokens: list[int]
    """With the earlier turns of the conversation."""
    completion_tokens: list[int]
    turn_tokens: list[int] = []
    """How many of the prompt's tokens are those of earlier turns, which go first where it is too long."""
    shared_tokens: int = 0
    """Tokens with which all prompts begin."""


class ReadingRequest(Record):
    """Asks what a base model would read of one example."""

    example: Example


class ReadingPiece(Record):
    """A stretch of what the model reads."""

    text: str
    learnt: bool
    is_markup: bool
    """Written by the model's chat template and not by a person."""
    is_cut: bool
    """Too long for the window: the model never sees it."""


class Reading(Record):
    """One example exactly as a model reads it while it learns: in order, the pieces that are not cut."""

    pieces: list[ReadingPiece]
    tokens: int
    """That the model gets."""
    learnt_tokens: int
    """Of these, the ones it learns to write."""
    window_tokens: int
    """More are not read at once: the model's window, or less where training sets a limit of its own."""


# --- projects, models, machine, settings --------------------------------------------------------------


class NewProject(Record):
    name: Name
    is_sample: bool = False


class Project(Record):
    """One voice."""

    id: Id
    name: str
    is_sample: bool
    created_at: float


class BaseModelInfo(Record):
    """A base model that can be tuned here. `name` is BUNDLED_MODEL or the name under which one was added."""

    name: str
    title: str
    parameters: int
    layers: int
    hidden_size: int
    vocabulary: int
    window_tokens: int
    bytes: int
    fingerprint: str
    """sha256 over the sorted list of (file name, sha256) of the folder."""
    is_bundled: bool
    description: str = ""
    licence: str = ""
    """As its card or its GGUF file names it; empty if neither does."""
    languages: tuple[str, ...] = ()
    """ISO 639-1 codes of the languages that it was made for; empty if that is not known."""
    quantised_from: str = ""
    """The number format of the GGUF file that its weights were unpacked from, such as "Q4_K_M"."""
    path: str = ""
    """Where it lies on this machine, as it was added."""
    source: Literal["folder", "file", "upload"] = "folder"
    """What lies there; an upload is our copy of a file that was dropped, and goes with its model."""
    can_be_removed: bool = False
    """Whether it is in the list of the models that a person added."""
    problem: str = ""
    """Why it cannot be used now; then its sizes are 0."""
    can_try_again: bool = False
    """Whether unpacking it failed, which is tried again when it is asked for."""


class NewModel(Record):
    """A model of this machine that shall become a base model."""

    path: Annotated[str, Field(min_length=1, max_length=4096)]
    """Of a folder as transformers writes it, or of a GGUF file; absolute, `~` is the person's home."""
    name: Annotated[str, Field(max_length=100)] = ""
    """What to call it; otherwise as its folder or file is called."""


class ModelAddition(Record):
    """A model on its way into the catalogue: checking it may take minutes."""

    id: Id
    path: str
    state: Literal["checking", "added", "failed"] = "checking"
    seconds: float = 0.0
    """Since it was asked for."""
    model: BaseModelInfo | None = None
    failure: Failure | None = None


class FoundModel(Record):
    """A model that another program keeps on this machine, and that may become a base model."""

    title: str
    path: str
    bytes: int
    source: Literal["Hugging Face", "Ollama", "LM Studio", "Downloads"]


class FolderListing(Record):
    """What may lead to a model in one folder of the person's home: names only."""

    path: str
    parent: str | None
    """None for the home folder itself."""
    folders: list[str]
    gguf_files: list[str]
    is_model: bool
    """Whether the folder itself looks like a model."""


class BundledModelState(Record):
    """Whether the base model that comes with the product is unpacked. `share` of it is done."""

    state: Literal["ready", "unpacking", "failed"]
    share: float = 0.0
    failure: Failure | None = None


class Machine(Record):
    """What this machine offers; each detected value travels with its reason."""

    device: Literal["cpu", "cuda", "mps"]
    device_title: str
    device_reason: str
    cores: int
    memory_bytes: int
    memory_available_bytes: int
    disk_free_bytes: int
    calibrated: bool


class Settings(Record):
    """What a person may set for the whole workspace. Money is in `currency`; until it is set, prices are
    those of `prices.py`."""

    currency: Annotated[str, Field(min_length=1, max_length=4)] = "€"
    electricity_price_per_kwh: Annotated[float, Field(ge=0, le=100)] = load_prices().electricity.price_per_kwh
    machine_watts: Annotated[float, Field(gt=0, le=5000)] = 65.0
    """What the machine draws while it tunes: a laptop's charger; a desktop takes 100–200, a GPU 300–600."""
    rented_gpu_price_per_hour: Annotated[float, Field(ge=0, le=1000)] = load_prices().rented_per_hour


# --- 2 method -----------------------------------------------------------------------------------------


class Recipe(Record):
    """Base model, method and hyperparameters: all that decides what a run computes besides its dataset.

    A field that is None takes the method's default for the number of examples (`engine/methods/`).
    """

    base_model: str = BUNDLED_MODEL
    method: MethodName
    epochs: Annotated[int, Field(ge=1, le=100)] | None = None
    learning_rate: Annotated[float, Field(gt=0, le=1)] | None = None
    batch_size: Annotated[int, Field(ge=1, le=256)] | None = None
    seed: Annotated[int, Field(ge=0, le=2**31 - 1)] = 0
    layers: Annotated[int, Field(ge=1, le=2)] | None = None
    """last-layers only: how many of the last layers learn."""
    rank: Annotated[int, Field(ge=1, le=256)] | None = None
    """lora only: rank of the low-rank updates."""
    virtual_tokens: Annotated[int, Field(ge=1, le=200)] | None = None
    """p-tuning only: how many virtual tokens stand before the prompt."""
    early_stopping: bool = True


class Estimate(Record):
    """What a run will take, before it starts. Ranges are [low, high] around the point in `seconds`."""

    method: MethodName
    recipe: Recipe
    """The recipe with every default filled in."""
    steps: int
    trainable_parameters: int
    seconds: float
    seconds_range: tuple[float, float]
    peak_memory_bytes: int
    memory_available_bytes: int
    fits: bool
    download_bytes: int
    """As it is made unless chosen otherwise: the adapter alone, or the model folder."""
    adapter_bytes: int
    energy_kwh_range: tuple[float, float]
    electricity_cost_range: tuple[float, float]
    rented_gpu_cost_range: tuple[float, float]
    currency: str
    calibrated: bool
    """False while this machine has not been measured yet: the range is then wide and says so."""
    basis: str
    """One sentence on what the figure rests on."""
    counted_seconds: float = 0.0
    """All planned steps, before past runs corrected it: what the actual is later held against."""
    fixed_seconds: float = 0.0
    """Of these, what is spent however early the run stops: starting, the base's own loss, saving."""
    counted_memory_bytes: int = 0
    """Before past runs corrected it."""
    download_with_base_bytes: int = 0
    """With the base model beside the adapter; 0 in estimates of earlier versions."""


class EstimateRequest(Record):
    """Asks what each recipe would take on a saved dataset, or on examples that are not saved."""

    dataset_id: Id | None = None
    examples: Annotated[list[Example], Field(max_length=MAX_EXAMPLES)] = []
    """Used when there is no dataset_id."""
    recipes: Annotated[list[Recipe], Field(min_length=1, max_length=8)]
    measures: bool = True
    """Whether this machine shall be measured with base models that it has not been measured with yet."""


# --- 3 tuning -----------------------------------------------------------------------------------------


class NewRun(Record):
    """A click on *Start tuning*. The key makes it exactly one run however often it is sent."""

    key: Id
    dataset_id: Id
    recipe: Recipe


class Run(Record):
    id: Id
    number: int
    """Counts the runs of one project from 1: what a person calls it."""
    project_id: Id
    dataset_id: Id
    recipe: Recipe
    estimate: Estimate | None
    state: RunState
    desired: Desired
    attempt: int
    created_at: float
    started_at: float | None
    finished_at: float | None
    step: int
    steps: int
    """Optimizer steps planned; fewer are taken when it stops early."""
    seconds_left: float | None
    seconds: float | None
    """Working time over all attempts, pauses excluded; set at the end."""
    peak_memory_bytes: int | None
    validation_loss_base: float | None
    validation_loss: float | None
    """Of the best checkpoint, in nats per learnt token."""
    best_step: int | None
    stopped_because: Literal["finished", "early_stopping", "stopped"] | None
    failure: Failure | None
    export: "Export"


class Metric(Record):
    """One point of a curve. A step has a train loss, a validation loss, or both (nats per learnt token)."""

    attempt: int
    step: int
    epoch: float
    train_loss: float | None = None
    validation_loss: float | None = None
    learning_rate: float | None = None
    seconds: float
    """Working seconds since the run's first step, over all attempts."""


class Metrics(Record):
    """The whole curve so far, each step once (the last attempt wins), in order of steps."""

    run_id: Id
    state: RunState
    step: int
    steps: int
    seconds_left: float | None
    points: list[Metric]


class Event(Record):
    """One change of a run's state."""

    at: float
    run_id: Id
    from_state: RunState | None
    to_state: RunState
    reason: str


# --- 4 compare ----------------------------------------------------------------------------------------


class Question(Record):
    """One prompt for one or two sides, after what was said before it."""

    prompt: Annotated[str, Field(min_length=1, max_length=MAX_PROMPT_CHARACTERS)]
    turns: Annotated[tuple[Turn, ...], Field(max_length=MAX_TURNS)] = ()
    """Earlier turns, oldest first: a chat so far, or examples that show what is wanted."""
    sides: Annotated[list[Side], Field(min_length=1, max_length=2)] = ["base", "tuned"]


class Asking(Record):
    """Whom to ask and how it answers; the run chooses the adapter, never a model's name."""

    run_id: Id
    max_tokens: Annotated[int, Field(ge=1, le=MAX_ANSWER_TOKENS)] = 160
    temperature: Annotated[float, Field(ge=0, le=2)] = BALANCED_TEMPERATURE
    """0 always takes the most likely token."""
    seed: Annotated[int, Field(ge=0, le=2**31 - 1)] = 0


class AnswerRequest(Asking, Question):
    """Ask base and/or tuned run one prompt. Text only."""


class ManyAnswersRequest(Asking):
    """Ask several questions at once, which are answered side by side."""

    questions: Annotated[list[Question], Field(min_length=1, max_length=MAX_QUESTIONS)]


class AnswerEvent(Record):
    """One line of a streamed answer. `text` is what was added; `done` closes a side; `failure` ends all."""

    side: Side | None = None
    question: int | None = None
    """Which of several questions, counted from 0."""
    text: str = ""
    done: bool = False
    ended_by: Literal["end", "length"] | None = None
    tokens: int | None = None
    seconds: float | None = None
    waiting: int | None = None
    """Place in the queue while the answer has not begun; 0 means loading or answering."""
    failure: Failure | None = None


# --- 5 download ---------------------------------------------------------------------------------------


class ExportChoice(Record):
    """Whether the base model shall travel inside the download."""

    include_base: bool


class Export(Record):
    """Where the download of a run stands. `ready` is said only after a fresh process reproduced the
    reference answer with stock libraries."""

    state: Literal["none", "building", "checking", "ready", "failed"] = "none"
    includes_base: bool = False
    """Whether the base model lies inside, or will."""
    bytes: int | None = None
    sha256: str | None = None
    reference_prompt: str | None = None
    reference_answer: str | None = None
    checked_with: str | None = None
    """Libraries of the process that reproduced the answer: "transformers 5.23.0, peft 0.21.2"."""
    failure: Failure | None = None


class Hello(Record):
    """The engine's proof that it knows the token: HMAC-SHA256(token, nonce) in hex."""

    proof: str
    version: str
    pid: int
