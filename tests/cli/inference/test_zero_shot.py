"""`glimpse zero-shot` with a background."""

from pathlib import Path

from ..conftest import Run


def test_background_texts_compete_with_the_prompts(run: Run, colours: Path) -> None:
    red = colours / "red" / "0.png"

    def decided(*options: str) -> tuple[str, object]:
        [answer] = run("zero-shot", red, "--prompt", "blue", *options, "--format", "json").objects
        return answer["decision"], answer["background_probability"] is None

    # The toy backbone has no background vocabulary, so only the texts of the call compete.
    assert decided() == ("MATCH", True)
    assert decided("--background", "green", "--background", "red") == ("UNKNOWN", False)
    assert decided("--no-background") == ("MATCH", True)


def test_background_texts_and_none_exclude_each_other(run: Run) -> None:
    done = run("zero-shot", "--text", "red", "--prompt", "red", "--background", "blue", "--no-background")
    assert done.code == 2
    assert "exclude each other" in done.err
