"""The store on a real database: what is promised once stays so, whoever asks at the same time."""

import threading
import time
from pathlib import Path
from uuid import uuid4

import pytest
from sqlite_utils.utils import sqlite3

from engine import store as store_module
from engine.contract.brand import Brand, BrandRules, Fact
from engine.contract.failures import EngineFailure
from engine.contract.records import Columns, Dataset, NewProject, NewRun, Project, Recipe, Run, Settings
from engine.migrations import MIGRATIONS
from engine.store import DatabaseError, Store, explain


@pytest.fixture
def store(tmp_path: Path) -> Store:
    return Store(tmp_path / "voicewright.db")


@pytest.fixture
def project(store: Store) -> Project:
    return store.add_project(NewProject(name="Harbour Café"))


def add_dataset(store: Store, project: Project, fingerprint: str = "f" * 64) -> Dataset:
    return store.add_dataset(
        Dataset(
            id=uuid4().hex,
            project_id=project.id,
            version=1,
            created_at=0.0,
            source_name="voice.csv",
            columns=Columns(prompt=None, completion="Text"),
            examples_train=9,
            examples_validation=1,
            fingerprint=fingerprint,
        )
    )


def add_run(store: Store, dataset: Dataset, key: str | None = None) -> Run:
    new = NewRun(key=key or uuid4().hex, dataset_id=dataset.id, recipe=Recipe(method="lora"))
    return store.add_run(new, estimate=None)


def test_what_was_stored_is_there_after_reopening(tmp_path: Path) -> None:
    store = Store(tmp_path / "voicewright.db")
    project = store.add_project(NewProject(name="Ünïcode \u2028 & <b>", is_sample=True))
    store.save_settings(Settings(currency="$"))
    store.close()

    reopened = Store(tmp_path / "voicewright.db")
    assert reopened.list_projects() == [project]
    assert reopened.get_settings().currency == "$"
    assert reopened.is_sound()


BRAND = Brand(
    rules=BrandRules(words_we_never_use=("cheap", "Schnäppchen"), emoji="never"),
    facts=(Fact(name="Delivery", value="3 to 5 working days\u2028from £4.99"),),
)


def test_a_brand_is_empty_until_it_is_saved_and_then_stays_through_a_restart(tmp_path: Path) -> None:
    store = Store(tmp_path / "voicewright.db")
    ours, other = (store.add_project(NewProject(name=name)) for name in ("Ours", "Other"))
    assert store.get_brand(ours.id) == Brand()
    store.save_brand(ours.id, Brand())
    store.save_brand(ours.id, BRAND)
    store.copy_to(tmp_path / "copy.db")
    store.close()
    for file in ("voicewright.db", "copy.db"):
        assert Store(tmp_path / file).get_brand(ours.id) == BRAND
        assert Store(tmp_path / file).get_brand(other.id) == Brand()


def test_a_brand_goes_with_its_project(store: Store, project: Project) -> None:
    store.save_brand(project.id, BRAND)
    store.mark_project_removed(project.id)
    for use in (store.get_brand, lambda project_id: store.save_brand(project_id, BRAND)):
        with pytest.raises(EngineFailure, match="does not exist"):
            use(project.id)
    store.forget_project(project.id)
    assert store._rows("SELECT * FROM brands") == []


def test_a_workspace_of_the_first_shape_opens_with_all_it_had(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path, project_id, dataset_ids = tmp_path / "voicewright.db", uuid4().hex, [uuid4().hex, uuid4().hex]
    monkeypatch.setattr("engine.migrations.MIGRATIONS", MIGRATIONS[:1])
    Store(path).close()
    monkeypatch.undo()
    with sqlite3.connect(path) as old:
        old.execute("INSERT INTO projects VALUES (?, 'Old', 0, 0.0, NULL)", [project_id])
        columns = '{"prompt": "Kind", "completion": "Text"}'
        for version, dataset_id in enumerate(dataset_ids, start=1):
            row = [dataset_id, project_id, version, 0.0, "v.csv", columns, 9, 1, str(version) * 64]
            old.execute("INSERT INTO datasets VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?)", row)
    old.close()

    store = Store(path)
    newest, oldest = store.list_datasets(project_id)
    assert [newest.id, oldest.id] == dataset_ids[::-1]
    assert newest.columns == Columns(prompt="Kind", completion="Text", template=None)
    assert store.save_brand(project_id, BRAND) == store.get_brand(project_id) == BRAND
    assert store.choose_dataset(oldest.id) == oldest == store.list_datasets(project_id)[0]
    assert len(list(tmp_path.glob("voicewright.db.before-update-*"))) == 1


def test_the_same_examples_again_are_the_same_version_and_others_the_next(
    store: Store, project: Project
) -> None:
    first = add_dataset(store, project)
    assert add_dataset(store, project) == first
    assert add_dataset(store, project, "e" * 64).version == 2
    assert [dataset.version for dataset in store.list_datasets(project.id)] == [2, 1]


def test_a_project_goes_back_to_an_earlier_version_by_choosing_it_or_saving_it_again(
    store: Store, project: Project
) -> None:
    first, second, third = (add_dataset(store, project, letter * 64) for letter in "abc")
    assert store.list_datasets(project.id) == [third, second, first]
    assert store.choose_dataset(first.id) == first
    assert store.list_datasets(project.id) == [first, third, second]
    assert add_dataset(store, project, "b" * 64) == second
    assert store.list_datasets(project.id) == [second, first, third]
    assert add_dataset(store, project, "d" * 64).version == 4


def test_one_projects_choice_is_no_matter_of_anothers(store: Store, project: Project) -> None:
    other = store.add_project(NewProject(name="Other"))
    theirs = [add_dataset(store, other, letter * 64) for letter in "ab"]
    for letter in "abcde":
        add_dataset(store, project, letter * 64)
    store.choose_dataset(theirs[0].id)
    assert store.list_datasets(other.id) == theirs
    store.mark_project_removed(other.id)
    with pytest.raises(EngineFailure, match="does not exist"):
        store.choose_dataset(theirs[1].id)


def test_twenty_clicks_at_once_start_one_run(store: Store, project: Project) -> None:
    dataset, key = add_dataset(store, project), uuid4().hex
    started: list[Run] = []
    threads = [
        threading.Thread(target=lambda: started.append(add_run(store, dataset, key))) for _ in range(20)
    ]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert {run.id for run in started} == {store.list_runs(project.id)[0].id}
    assert len(started) == 20
    assert len(store.list_runs(project.id)) == 1


def test_two_who_claim_the_same_run_get_it_once(store: Store, project: Project) -> None:
    run = add_run(store, add_dataset(store, project))
    claimed = store.claim(run.id)
    assert claimed is not None
    assert (claimed.state, claimed.attempt) == ("preparing", 1)
    assert store.claim(run.id) is None


def test_a_state_that_moved_on_is_not_changed_and_leaves_no_event(store: Store, project: Project) -> None:
    run = add_run(store, add_dataset(store, project))
    assert store.change_state(run.id, ["training"], "succeeded", "too late") is None
    assert store.get_run(run.id).state == "queued"
    assert [event.to_state for event in store.list_events(run.id)] == ["queued"]


def test_every_change_of_state_has_its_event(store: Store, project: Project) -> None:
    run = add_run(store, add_dataset(store, project))
    store.claim(run.id)
    store.change_state(run.id, ["preparing"], "training", "told", {"step": 3, "steps": 9})
    assert [(event.from_state, event.to_state) for event in store.list_events(run.id)] == [
        (None, "queued"),
        ("queued", "preparing"),
        ("preparing", "training"),
    ]
    assert (store.get_run(run.id).step, store.get_run(run.id).steps) == (3, 9)


def test_a_change_that_fails_half_way_leaves_nothing_behind(store: Store, project: Project) -> None:
    run = add_run(store, add_dataset(store, project))
    with pytest.raises(DatabaseError):
        store.change_state(run.id, ["queued"], "paused", "reason", {"no_such_column": 1})
    assert store.get_run(run.id).state == "queued"
    assert len(store.list_events(run.id)) == 1


def test_a_removed_project_hides_at_once_and_is_forgotten_only_after_its_runs(
    store: Store, project: Project
) -> None:
    dataset = add_dataset(store, project)
    run = add_run(store, dataset)
    store.mark_project_removed(project.id)
    assert store.list_projects() == []
    with pytest.raises(EngineFailure, match="does not exist"):
        store.get_dataset(dataset.id)
    assert store.removed_projects() == {}
    assert [wanted.id for wanted in store.runs_to_delete()] == [run.id]

    store.mark_run_removed(run.id)
    store.forget_run(run.id)
    assert store.removed_projects() == {project.id: [dataset.id]}
    store.forget_project(project.id)
    assert store.removed_projects() == {}


def test_a_run_that_shall_be_deleted_cannot_be_wanted_otherwise(store: Store, project: Project) -> None:
    run = add_run(store, add_dataset(store, project))
    store.set_desired(run.id, "delete")
    assert store.set_desired(run.id, "run").desired == "delete"


def test_a_database_of_a_newer_version_is_refused_and_left_alone(tmp_path: Path) -> None:
    path = tmp_path / "voicewright.db"
    Store(path).close()
    with sqlite3.connect(path) as connection:
        connection.execute(f"PRAGMA user_version = {len(MIGRATIONS) + 1}")
    connection.close()
    before = path.read_bytes()
    with pytest.raises(EngineFailure, match="newer version"):
        Store(path)
    assert path.read_bytes() == before


def test_an_older_database_is_copied_before_it_is_changed(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = tmp_path / "voicewright.db"
    store = Store(path)
    project = store.add_project(NewProject(name="Old"))
    store.close()
    later = (*MIGRATIONS, type(MIGRATIONS[0])("a reason", ("ALTER TABLE projects ADD COLUMN extra TEXT",)))
    monkeypatch.setattr("engine.migrations.MIGRATIONS", later)
    assert Store(path).get_project(project.id).name == "Old"
    (backup,) = tmp_path.glob("voicewright.db.before-update-*")
    with sqlite3.connect(backup) as connection:
        assert connection.execute("SELECT name FROM projects").fetchone() == ("Old",)
    connection.close()


def test_a_migration_that_fails_changes_nothing(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = tmp_path / "voicewright.db"
    Store(path).close()
    broken = type(MIGRATIONS[0])("a reason", ("ALTER TABLE projects ADD COLUMN extra TEXT", "NONSENSE"))
    monkeypatch.setattr("engine.migrations.MIGRATIONS", (*MIGRATIONS, broken))
    with pytest.raises(DatabaseError):
        Store(path)
    monkeypatch.undo()
    store = Store(path)
    assert store.add_project(NewProject(name="Still works")).name == "Still works"


def test_a_database_held_by_another_program_is_called_busy(
    store: Store, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(store_module, "BUSY_SECONDS", 0.2)
    impatient = Store(tmp_path / "voicewright.db")
    other = sqlite3.connect(tmp_path / "voicewright.db", isolation_level=None)
    other.execute("BEGIN EXCLUSIVE")
    begun = time.monotonic()
    with pytest.raises(DatabaseError) as caught:
        impatient.add_project(NewProject(name="Patience"))
    assert time.monotonic() - begun < 3
    assert explain(caught.value).failure.code == "busy"
    other.execute("ROLLBACK")
    assert impatient.add_project(NewProject(name="Patience")).name == "Patience"
    other.close()


@pytest.mark.parametrize(("first_safe", "mode"), [((99, 0, 0), "delete"), ((3, 0, 0), "wal")])
def test_a_library_with_the_log_bug_gets_a_rollback_journal(
    first_safe: tuple[int, int, int], mode: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(store_module, "FIRST_SAFE_WAL", first_safe)
    store = Store(tmp_path / "voicewright.db")
    assert store._db.journal_mode == mode
    assert store._rows("PRAGMA foreign_keys") == [{"foreign_keys": 1}]
    assert store._rows("PRAGMA synchronous") == [{"synchronous": 2}]


def test_the_copy_is_whole_and_the_database_is_private(
    store: Store, project: Project, tmp_path: Path
) -> None:
    store.copy_to(tmp_path / "copy.db")
    assert Store(tmp_path / "copy.db").list_projects() == [project]
    assert (tmp_path / "voicewright.db").stat().st_mode & 0o077 == 0
    assert not list(tmp_path.glob(".*.tmp"))
