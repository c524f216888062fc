"""Settings: prices are kept, and what is said of privacy and of the machine is what the engine says."""

from engine.contract.failures import EngineFailure, Failure
from engine.contract.records import FolderListing, FoundModel, ModelAddition
from tests.pages.conftest import BUNDLED, MULTILINGUAL


def test_a_price_is_kept_by_the_engine(pretend_engine, open_page):
    app = open_page("settings")
    app.number_input[0].set_value(0.42)
    app.button[0].click()
    app.run()
    assert pretend_engine.settings.electricity_price_per_kwh == 0.42


def test_the_machine_comes_with_its_reason(pretend_engine, open_page):
    app = open_page("settings")
    assert any("no graphics card that can train was found" in item.value for item in app.markdown)
    assert any("SmolLM2 135M Instruct" in item.value for item in app.markdown)


def test_the_price_lists_behind_the_defaults_are_dated_and_named(pretend_engine, open_page):
    app = open_page("settings")
    (caption,) = [item.value for item in app.caption if item.value.startswith("Price lists of")]
    assert "March 2026" in caption
    assert "RTX 4090" in caption
    assert "Eurostat" in caption


# --- base models ----------------------------------------------------------------------------------------


def words(app):
    kinds = (app.markdown, app.caption, app.warning, app.success)
    return " ".join(item.value for kind in kinds for item in kind).replace("\\", "")


def button(app, label):
    return next(item for item in app.button if item.label == label)


def test_a_base_model_is_described_in_words(pretend_engine, open_page):
    pretend_engine.models.append(MULTILINGUAL)
    said = words(open_page("settings"))
    assert "135 million parameters · 271 MB on disk · reads about 6,000 words at once" in said
    assert "knows English only · licence Apache-2.0" in said
    assert "reads about 25,000 words at once · knows English, German, French and 2 more" in said
    assert "You tune a 4-bit copy (Q4_K_M) of it." in said
    assert "File: /home/ann/models/Babel-0.5B.gguf" in said.replace("\u2060", "")


def test_a_model_with_a_problem_says_it(pretend_engine, open_page):
    pretend_engine.models.append(MULTILINGUAL.model_copy(update={"problem": "Its folder is gone."}))
    app = open_page("settings")
    assert "Its folder is gone." in words(app)
    assert "Try again" not in [item.label for item in app.button]


def test_a_model_that_could_not_be_unpacked_is_tried_again_when_asked(pretend_engine, open_page):
    changes = {"problem": "There is no room on the disk.", "can_try_again": True}
    pretend_engine.models.append(MULTILINGUAL.model_copy(update=changes))
    app = open_page("settings")
    assert "There is no room on the disk." in words(app)
    app = button(app, "Try again").click().run()
    assert "There is no room on the disk." not in words(app)
    assert pretend_engine.models == [BUNDLED, MULTILINGUAL]


def test_a_found_model_is_added_with_one_click(pretend_engine, open_page):
    pretend_engine.found.append(
        FoundModel(title="qwen2.5:0.5b", path="/home/ann/blob", bytes=398_000_000, source="Ollama")
    )
    app = open_page("settings")
    assert "qwen2.5:0.5b  :gray[Ollama, 398 MB]" in words(app)
    button(app, "Add").click()
    app.run()
    assert not app.exception
    assert pretend_engine.models[-1].path == "/home/ann/blob"
    assert "qwen2.5:0.5b** can be tuned from now on" in words(app)


def test_a_path_that_is_refused_is_explained_where_it_was_typed(pretend_engine, open_page):
    pretend_engine._add_model = refuse_path
    app = open_page("settings")
    next(item for item in app.text_input if item.label.startswith("Path")).set_value("~/x")
    button(app, "Add it").click()
    app.run()
    assert "There is no folder or file at “~/x”" in words(app)


def refuse_path(body):
    raise EngineFailure("not_found", f"There is no folder or file at “{body['path']}” on this machine.")


def test_a_check_that_failed_is_said_with_the_way_out(pretend_engine, open_page):
    failure = Failure(code="model_unusable", what_happened="It is quantised.", what_to_do="Choose another.")
    addition = ModelAddition(id="f" * 32, path="/m/x", state="failed", failure=failure)
    app = open_page("settings")
    pretend_engine._add_model = lambda body: pretend_engine.additions.append(addition) or addition
    next(item for item in app.text_input if item.label.startswith("Path")).set_value("/m/x")
    button(app, "Add it").click()
    app.run()
    assert "**It is quantised.** Choose another." in words(app)
    app.run()
    assert "It is quantised" not in words(app)


def test_while_one_is_checked_no_other_can_be_added(pretend_engine, open_page):
    pretend_engine.additions.append(ModelAddition(id="f" * 32, path="/m/big.gguf", seconds=7))
    app = open_page("settings")
    assert button(app, "Add it").disabled
    assert "You can leave this page" in words(app)


def test_another_check_that_goes_on_comes_before_ones_own_that_ended(pretend_engine, open_page):
    app = open_page("settings")
    next(item for item in app.text_input if item.label.startswith("Path")).set_value("/m/x")
    going_on = ModelAddition(id="f" * 32, path="/m/big.gguf", seconds=7)
    add = pretend_engine._add_model

    def add_beside_another(body):
        added = add(body)
        pretend_engine.additions.append(going_on)
        return added

    pretend_engine._add_model = add_beside_another
    button(app, "Add it").click()
    app.run()
    assert "You can leave this page" in words(app)
    pretend_engine.additions.remove(going_on)
    app.run()
    assert "can be tuned from now on" in words(app)


def test_a_model_is_looked_for_in_the_folders_below_home(pretend_engine, open_page):
    pretend_engine.folders = {
        "~": FolderListing(path="/home/ann", parent=None, folders=["models"], gguf_files=[], is_model=False),
        "/home/ann/models": FolderListing(
            path="/home/ann/models", parent="/home/ann", folders=[], gguf_files=["a.gguf"], is_model=True
        ),
    }
    app = open_page("settings")
    next(item for item in app.selectbox if item.label == "Open a folder").set_value("models")
    app.run()
    assert not app.exception
    assert {"Add this folder", "Add a.gguf", "Up"} <= {item.label for item in app.button}
    button(app, "Add a.gguf").click()
    app.run()
    assert pretend_engine.models[-1].path == "/home/ann/models/a.gguf"


def test_a_dropped_file_is_kept_and_added(pretend_engine, open_page, tmp_path, monkeypatch):
    monkeypatch.setenv("VOICEWRIGHT_WORKSPACE", str(tmp_path))
    app = open_page("settings")
    app.file_uploader[0].upload("tiny.gguf", b"GGUF" + bytes(60), "application/octet-stream")
    app.run()
    assert not app.exception
    (kept,) = (tmp_path / "models").iterdir()
    assert kept.name.endswith("-tiny.gguf")
    assert (pretend_engine.models[-1].path, pretend_engine.models[-1].title) == (str(kept), "tiny")


def test_a_dropped_file_that_the_engine_does_not_take_is_not_kept(
    pretend_engine, open_page, tmp_path, monkeypatch
):
    monkeypatch.setenv("VOICEWRIGHT_WORKSPACE", str(tmp_path))
    pretend_engine._add_model = refuse_path
    app = open_page("settings")
    app.file_uploader[0].upload("tiny.gguf", b"GGUF" + bytes(60), "application/octet-stream")
    app.run()
    assert "There is no folder or file at" in words(app)
    assert list((tmp_path / "models").iterdir()) == []


def test_an_added_model_is_removed_after_a_question_and_the_bundled_one_never(pretend_engine, open_page):
    pretend_engine.models.append(MULTILINGUAL)
    app = open_page("settings")
    assert [item.label for item in app.button].count("Remove") == 1
    button(app, "Remove").click()
    app.run()
    assert "Your files stay where they are" in words(app)
    assert "Remove it" in [item.label for item in app.button]
    assert pretend_engine.models == [BUNDLED, MULTILINGUAL]


def test_removing_a_dropped_file_is_said_to_delete_it(pretend_engine, open_page):
    pretend_engine.models.append(MULTILINGUAL.model_copy(update={"source": "upload"}))
    app = open_page("settings")
    button(app, "Remove").click()
    app.run()
    assert "The copy kept with your projects is deleted" in words(app)
    assert "stay where they are" not in words(app)


def test_what_is_not_in_the_list_cannot_be_removed(pretend_engine, open_page):
    torn = {"name": "models.damaged-1.json", "problem": "The list was damaged.", "can_be_removed": False}
    pretend_engine.models.append(MULTILINGUAL.model_copy(update=torn))
    app = open_page("settings")
    assert "The list was damaged." in words(app)
    assert "Remove" not in [item.label for item in app.button]
