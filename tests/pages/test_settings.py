"""Settings: prices are kept, and what is said of privacy and of the machine is what the engine says."""


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
