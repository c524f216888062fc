"""Which method to recommend and why, and what each method and setting means, in words.

Takes estimates as they come from the engine. Does not know how anything is computed or shown.
"""

from collections.abc import Sequence
from dataclasses import dataclass

from engine.contract.records import METHOD_NAMES, Estimate, Machine, MethodName
from studio.wording import render_bytes, render_count, render_duration_range

# Under this many examples, a method that changes few weights is the one that does not learn them by heart.
_FEW_EXAMPLES = 60
# A wait that people accept beside other work; beyond it, a method that is clearly quicker is worth
# recommending.
_COMFORTABLE_SECONDS = 10 * 60
_CLEARLY_QUICKER = 0.7


@dataclass(frozen=True)
class MethodText:
    """What a card says of a method before any figure."""

    title: str
    sentence: str
    good_at: str
    less_good_at: str
    download: str


@dataclass(frozen=True)
class Knob:
    """One advanced setting. `field` is its name in `Recipe`; `term` the one engineers use."""

    field: str
    name: str
    term: str
    trade_off: str
    methods: tuple[MethodName, ...] = METHOD_NAMES


@dataclass(frozen=True)
class Recommendation:
    method: MethodName
    reason: str


METHOD_TEXTS: dict[MethodName, MethodText] = {
    "last-layers": MethodText(
        title="Last layers",
        sentence="Retrains the end of the model, where it picks its words, and leaves the rest as it is.",
        good_at="Quick on an ordinary computer; picks up wording and rhythm.",
        less_good_at="New formats or long structures that the base model never writes.",
        download="An adapter: the layers that learnt, to lay over the base model.",
    ),
    "all-layers": MethodText(
        title="All layers",
        sentence="Retrains the whole model, so that everything in it can bend to your voice.",
        good_at="Learns the most from many examples.",
        less_good_at="Few examples: it may learn them by heart and forget other things. Slowest and largest.",
        download="A whole model of its own; no base model is needed beside it.",
    ),
    "p-tuning": MethodText(
        title="P-tuning",
        sentence="Leaves the model untouched and learns a hidden introduction that it reads before every "
        "prompt. It begins as your rules and a few of your examples.",
        good_at="The smallest download; the model cannot forget anything.",
        less_good_at="Strong voices: it can only steer what the base model already knows how to write.",
        download="An adapter of a few kilobytes to megabytes.",
    ),
    "lora": MethodText(
        title="LoRA",
        sentence="Leaves the model untouched and learns small corrections all through it.",
        good_at="Strong voices from few examples; it rarely forgets what it knew.",
        less_good_at="Takes longer than the last layers on a computer without a graphics card.",
        download="A small adapter to lay over the base model; the kind most other programs know.",
    ),
}

KNOBS: tuple[Knob, ...] = (
    Knob(
        "epochs",
        "Passes through your examples",
        "epoch",
        "More passes learn more and take longer; too many, and it copies instead of learning.",
    ),
    Knob(
        "learning_rate",
        "Size of each correction",
        "learning rate",
        "Larger learns faster, but may forget how to write; smaller is safe and slow.",
    ),
    Knob(
        "batch_size",
        "Examples per correction",
        "batch size",
        "More make the learning steadier and need more memory; fewer make more, rougher corrections.",
    ),
    Knob(
        "layers",
        "Layers that learn",
        "trainable layers",
        "Two learn more than one, take longer, and make a larger download.",
        ("last-layers",),
    ),
    Knob(
        "rank",
        "Fineness of the corrections",
        "rank",
        "Higher can learn more detail, makes a larger adapter, and learns by heart sooner.",
        ("lora",),
    ),
    Knob(
        "virtual_tokens",
        "Length of the hidden introduction",
        "virtual tokens",
        "Longer steers more strongly, takes more time, and leaves less room for prompt and answer.",
        ("p-tuning",),
    ),
    Knob(
        "early_stopping",
        "Stop when it starts to copy",
        "early stopping",
        "On saves time and keeps the voice general; off always runs all passes. The best moment is "
        "kept either way.",
    ),
    Knob(
        "seed",
        "Starting number of chance",
        "seed",
        "The same number gives the same result again; another one shows how much of a result was luck.",
    ),
)


def recommend(estimates: Sequence[Estimate], examples_train: int, machine: Machine) -> Recommendation:
    """One method for these examples on this machine, among those that fit into its memory.

    LoRA is the safe default: it catches a voice from few examples and forgets little. The last layers take
    its place where LoRA would be long to wait for and they are clearly quicker, or where it does not fit.
    """
    where = f"{render_count(examples_train, 'example')} to learn from, {_describe(machine)}"
    fitting = {estimate.method: estimate for estimate in estimates if estimate.fits}
    if not fitting:
        smallest = min(estimates, key=lambda estimate: estimate.peak_memory_bytes)
        return Recommendation(smallest.method, f"{where}: {_nothing_fits(smallest)}")
    chosen = _choose(fitting)
    why = _why(chosen, fitting, examples_train)
    return Recommendation(chosen.method, f"{where}: {why} {_figures(chosen, machine)}")


def knobs_for(method: MethodName) -> list[Knob]:
    return [knob for knob in KNOBS if method in knob.methods]


def _choose(fitting: dict[MethodName, Estimate]) -> Estimate:
    lora, last = fitting.get("lora"), fitting.get("last-layers")
    if lora is None or last is None:
        return lora or last or min(fitting.values(), key=lambda estimate: estimate.seconds)
    is_long = lora.seconds_range[1] > _COMFORTABLE_SECONDS
    return last if is_long and last.seconds < _CLEARLY_QUICKER * lora.seconds else lora


def _why(chosen: Estimate, fitting: dict[MethodName, Estimate], examples_train: int) -> str:
    title = METHOD_TEXTS[chosen.method].title
    if chosen.method == "last-layers" and "lora" in fitting:
        return f"{title} is clearly quicker here, and so many examples are enough for it to catch the voice."
    if chosen.method == "lora" and examples_train < _FEW_EXAMPLES:
        return f"{title} gets the most out of few examples without learning them by heart."
    if chosen.method == "lora":
        return f"{title} catches a voice well and keeps what the model already knows."
    return f"{title} is the method that fits into the free memory."


def _figures(estimate: Estimate, machine: Machine) -> str:
    memory = (
        f"{render_bytes(estimate.peak_memory_bytes)} of your {render_bytes(machine.memory_bytes)} of memory"
    )
    return f"It takes {render_duration_range(estimate.seconds_range)} and {memory}."


def _nothing_fits(smallest: Estimate) -> str:
    return (
        f"no method fits into the free memory. {METHOD_TEXTS[smallest.method].title} needs the least, "
        f"{render_bytes(smallest.peak_memory_bytes)}, and "
        f"{render_bytes(smallest.memory_available_bytes)} are free. "
        "Close other programs, or choose a smaller base model."
    )


def _describe(machine: Machine) -> str:
    if machine.device != "cpu":
        return f"and a graphics card ({machine.device_title})"
    return f"and a computer with {render_count(machine.cores, 'core')} and no graphics card in use"
