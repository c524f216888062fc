"""One plain sentence per term: the tooltips of every page and the glossary of the README come from here.

A sentence stands alone, needs no other term of the list to be understood, and is about the person's text
rather than about mathematics. Does not know where a term is shown.
"""

TERMS: dict[str, str] = {
    # examples
    "example": "A pair of what is asked (the prompt) and the text your brand would answer with "
    "(the completion).",
    "prompt": "What is asked of the model: a brief, a question, a subject line to write under.",
    "completion": "The text in your brand's voice that answers a prompt; it is what the model "
    "learns to write.",
    "finding": "A remark about your table: which rows it concerns, what is odd about them, and how "
    "to mend it.",
    "train": "The examples that the model learns from, about nine out of ten.",
    "validation": "Examples the model never learns from, held out to see whether it catches the "
    "voice or only copies.",
    "placeholder": "A gap such as [NAME] that was meant to be filled in before the text went out.",
    # models and methods
    "base model": "The model as it is before it has read anything of yours: it knows a language "
    "or several, but writes in nobody's voice.",
    "tuning": "Letting a base model practise on your examples until it writes more like you.",
    "method": "How tuning is done: which part of the model may change, and so how long it takes "
    "and what you download.",
    "recipe": "All the settings of one tuning together: the base model, the method and how it learns.",
    "last layers": "A method that changes only the last part of the model, where wording is "
    "decided: quick, and safe.",
    "all layers": "A method that changes the whole model: it can learn the most, and forget the most.",
    "p-tuning": "A method that leaves the model as it is and learns a short hidden introduction to "
    "every prompt.",
    "lora": "A method that leaves the model as it is and learns small corrections all through it "
    "(low-rank adaptation).",
    "adapter": "The small file of what was learnt; laid over the base model, it gives the base "
    "model your voice.",
    "parameters": "The numbers a model is made of: more of them can hold more, and need more time "
    "and memory.",
    "layer": "One of the stages a text passes through inside the model, from reading letters to "
    "choosing words.",
    "token": "A piece of a word, as the model reads and writes it; a hundred tokens are about 75 "
    "English words.",
    "window": "How much text the model can take in at once, prompt and answer together.",
    # estimates
    "estimate": "What a tuning will take, worked out before it starts from your examples and the "
    "speed of this machine.",
    "calibration": "A short test of how fast this machine is, so that estimates of time are true here.",
    "peak memory": "The most memory that tuning needs at any moment; if this machine has less, the "
    "tuning cannot run.",
    "electricity price": "What you pay for a kilowatt-hour; you find it on your electricity bill.",
    "rented gpu": "A graphics machine in a data centre, paid by the hour; shown to compare, "
    "nothing is ever sent to one.",
    "download size": "How large the file is that you take away at the end.",
    # tuning
    "run": "One tuning from start to end, with its settings, its curve and its result.",
    "loss": "How surprised the model is by your text, word by word; the lower, the better it knows "
    "your voice.",
    "train loss": "How surprised the model is by the examples it is just learning from.",
    "validation loss": "How surprised the model is by the held-out examples: the honest measure of "
    "what it has learnt.",
    "step": "One small correction of the model, after reading a handful of examples.",
    "trainable layers": "How many of the model's last layers may change.",
    "epoch": "One pass through all the examples to learn from.",
    "learning rate": "How large each correction is: too small learns slowly, too large forgets how to write.",
    "batch size": "How many examples are read before each correction.",
    "rank": "How fine the corrections of LoRA may be: higher can learn more, and makes a larger adapter.",
    "virtual tokens": "How long the hidden introduction is that p-tuning learns, counted in pieces of words.",
    "layers that learn": "How many of the last layers may change.",
    "seed": "The number that starts all chance: with the same seed and settings, the same result "
    "comes out again.",
    "checkpoint": "The model as saved in the middle of a tuning, so that nothing is lost if the "
    "machine stops.",
    "best": "The moment of the tuning at which the held-out examples surprised the model least; it "
    "is what you keep.",
    "early stopping": "Ending by itself once the held-out examples no longer gain, before the "
    "model starts to copy.",
    "copying": "Knowing the examples by heart instead of their voice: they surprise it ever less, "
    "new ones ever more.",
    # compare and download
    "base": "The untouched model's answer, from the very same weights with your adapter switched off.",
    "tuned": "The answer of the model that has learnt from your examples.",
    "creativity": "How daring the choice of words is (temperature): low repeats itself, high "
    "surprises and errs more.",
    "length": "How long an answer may become at most; the model may well end earlier.",
    "download": "A zip file with what was learnt, ready for any program that runs such models, "
    "without Voicewright.",
    "chat template": "The wrapping that tells the model where your prompt ends and its answer begins.",
    "fingerprint": "A short code that changes if a single letter of your examples changes: it "
    "proves what was learnt from.",
}

_OTHER_NAMES = {
    "temperature": "creativity",
    "held-out examples": "validation",
    "held out": "validation",
    "overfitting": "copying",
    "low-rank adaptation": "lora",
    "last-layers": "last layers",
    "all-layers": "all layers",
    "context window": "window",
    "best step": "best",
    "memory": "peak memory",
    "layers": "layers that learn",
    "max tokens": "length",
    "export": "download",
}


def explain(term: str) -> str:
    """The sentence of a term, also under its technical name; a term without one is a mistake in the code."""
    name = term.casefold()
    return TERMS[_OTHER_NAMES.get(name, name)]
