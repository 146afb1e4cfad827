"""Tests of the commands that manage collections, labels, examples and backbones."""

import pytest

from support.wait import soon

from ..conftest import Run


def test_a_collection_is_created_updated_and_deleted(run: Run) -> None:
    made = run("collections", "create", "life", "--match-threshold", "0.7", "--format", "json").objects[0]
    assert (made["backbone"], made["match_threshold"], made["match_margin"]) == ("toy", 0.7, None)
    again = run("collections", "create", "life")
    assert again.code == 1
    assert "life" in again.err
    changed = run("collections", "update", "life", "--match-threshold", "default", "--format", "json").objects[0]
    assert changed["match_threshold"] is None
    assert run("collections", "update", "life").code == 2
    assert run("collections", "update", "life", "--match-margin", "much").code == 2
    assert (changed["min_space_cosine"], changed["names_as_prompts"]) == (None, False)
    changes = ("--min-space-cosine", "0.99", "--names-as-prompts")
    changed = run("collections", "update", "life", *changes, "--format", "json").objects[0]
    assert (changed["min_space_cosine"], changed["names_as_prompts"]) == (0.99, True)
    changes = ("--min-space-cosine", "default", "--no-names-as-prompts")
    changed = run("collections", "update", "life", *changes, "--format", "json").objects[0]
    assert (changed["min_space_cosine"], changed["names_as_prompts"]) == (None, False)
    assert "life" in run("collections", "list").out
    assert run("collections", "delete", "life").code == 0
    assert run("collections", "show", "life").code == 1


def test_a_label_is_created_updated_and_deleted(run: Run, collection: str) -> None:
    made = run("labels", "create", collection, "warm", "--prompt", "red", "--format", "json").objects[0]
    assert made["prompts"] == ["red"]
    run("labels", "update", collection, "warm", "--display-name", "Warm ones", "--remove", "prompts")
    shown = run("labels", "show", collection, "warm", "--format", "json").objects[0]
    assert (shown["display_name"], shown["prompts"]) == ("Warm ones", [])
    contradiction = run("labels", "update", collection, "warm", "--remove", "prompts", "--prompt", "x")
    assert contradiction.code == 2
    deleted = run("labels", "delete", collection, "warm")
    assert (deleted.code, deleted.out.split()[:3]) == (0, ["deleted", "warm", "revision"])
    refused = run("labels", "delete", collection, "red")
    assert refused.code == 1
    assert "--force" in refused.err
    assert run("labels", "delete", collection, "red", "--force").code == 0


def test_a_label_has_a_parent_a_policy_and_aliases(run: Run, collection: str) -> None:
    run("labels", "create", collection, "colour")
    options = ["--parent", "colour", "--alias", "rot", "--false-reject-rate", "0.1", "--min-examples", "2"]
    changed = run("labels", "update", collection, "red", *options, "--format", "json").objects[0]
    assert (changed["parent"], changed["aliases"]) == ("colour", ["rot"])
    assert (changed["match_threshold"], changed["false_reject_rate"], changed["min_examples"]) == (None, 0.1, 2)
    assert run("labels", "show", collection, "rot", "--format", "json").objects[0]["id"] == "red"
    removed = ["--remove", "parent", "--remove", "policy", "--remove", "aliases"]
    left = run("labels", "update", collection, "red", *removed, "--format", "json").objects[0]
    assert (left["parent"], left["aliases"], left["false_reject_rate"]) == ("", [], None)


def test_labels_are_merged(run: Run, collection: str) -> None:
    count = run("labels", "show", collection, "red", "--format", "json").objects[0]["examples"]
    run("labels", "create", collection, "rouge")
    merged = run("labels", "merge", collection, "red", "--into", "rouge", "--format", "json").objects[0]
    assert (merged["moved"], merged["duplicates"], merged["aliases"]) == (count, 0, ["red"])
    assert "red" not in [label["id"] for label in run("labels", "list", collection, "--format", "json").objects]


def test_an_example_is_listed_shown_and_deleted(run: Run, collection: str) -> None:
    listed = run("examples", "list", collection, "--label", "red", "--format", "json").objects
    assert len(listed) == 6
    first = listed[0]
    assert run("examples", "show", collection, first["id"], "--format", "json").objects == [first]
    assert run("examples", "delete", collection, first["id"]).out.split()[:2] == ["deleted", first["id"]]
    assert run("examples", "show", collection, first["id"]).code == 1
    assert len(run("examples", "list", collection).out.splitlines()) == 24


def test_examples_are_changed_and_deleted_together(run: Run, collection: str) -> None:
    listed = run("examples", "list", collection, "--label", "red", "--format", "json").objects
    ids, names = [one["id"] for one in listed], [one["example"] for one in listed]
    changes = ("--label", "blue", "--group", "clip", "--metadata", "by=ann", "--metadata", "why=seen")
    [changed] = run("examples", "update", collection, ids[0], names[1], *changes, "--format", "json").objects
    assert changed["updated"] == 2
    shown = run("examples", "show", collection, ids[1], "--format", "json").objects[0]
    assert (shown["label"], shown["group"], shown["metadata"]) == ("blue", "clip", {"by": "ann", "why": "seen"})
    assert "0" in run("examples", "update", collection, ids[0], "--label", "blue").out.split()
    run("examples", "update", collection, ids[0], "--no-metadata", "--group", "")
    shown = run("examples", "show", collection, ids[0], "--format", "json").objects[0]
    assert (shown["group"], shown["metadata"]) == ("", {})
    refused = run("examples", "update", collection, ids[2], ids[2], "--label", "blue")
    assert (refused.code, "given twice" in refused.err) == (1, True)
    for wrong in ((), ("--metadata", "x"), ("--no-metadata", "--metadata", "a=b")):
        assert run("examples", "update", collection, ids[2], *wrong).code == 2
    deleted = run("examples", "delete", collection, *ids[3:5], "--format", "json").objects[0]
    assert deleted["deleted"] == ", ".join(ids[3:5])
    left = run("examples", "list", collection, "--label", "red", "--format", "json").objects
    assert [one["id"] for one in left] == [ids[2], ids[5]]


def test_a_full_name_of_another_collection_is_rejected(run: Run, collection: str) -> None:
    example = run("examples", "list", collection, "--format", "json").objects[0]["example"]
    for refused in (
        run("examples", "show", "other", example),
        run("examples", "delete", "other", example),
        run("labels", "delete", "other", f"collections/{collection}/labels/red", "--force"),
    ):
        assert refused.code == 1
        assert "is not in collections/other" in refused.err
    assert run("examples", "show", collection, example).code == 0
    assert run("examples", "show", f"collections/{collection}", example.rpartition("/")[2]).code == 0


def test_backbones_and_status(run: Run, collection: str) -> None:
    assert run("backbones", "list", "--format", "json").objects[0]["reads"] == ["image", "text"]
    assert "toy" in run("backbones", "show", "toy").out
    assert run("whoami", "--format", "json").objects == [{"name": "", "scope": "admin", "collections": {}}]
    [state] = run("status", "--format", "json").objects
    assert state["health"] == "SERVING"
    assert 0 < state["latency_ms"] < 1000
    assert collection in {one["id"] for one in state["collections"]}
    assert max(map(len, run("status", columns=80).out.splitlines())) <= 80


def test_a_collection_of_names_classifies_before_it_has_an_example(run: Run) -> None:
    run("collections", "create", "names", "--names-as-prompts", "--min-space-cosine", "0.99")
    for colour in ("red", "green", "blue"):
        assert run("labels", "create", "names", colour).code == 0
    [found] = run("classify", "names", "--text", "blue", "--format", "json").objects
    assert found["label"] == "blue"
    [day] = soon(lambda: run("collections", "decisions", "names", "--format", "json").objects, 30)
    assert day["match"] + day["unknown"] + day["ambiguous"] == 1
    assert day["date"] in run("collections", "decisions", "names", "--days", "2").out
    assert run("collections", "show", "names", "--format", "json").objects[0]["min_space_cosine"] == 0.99
    run("collections", "delete", "names", "--force")


def test_a_collection_shows_its_policy_and_head_as_options_take_them(ask: Run) -> None:
    given = ("--false-reject-rate", "0.1", "--coverage", "0.95", "--head", "kernel-ridge", "--multi-label")
    [made] = ask("collections", "create", "birds", *given, "--format", "json").objects
    assert (made["false_reject_rate"], made["false_accept_rate"], made["coverage"]) == (0.1, None, 0.95)
    assert (made["head"], made["multi_label"]) == ("kernel-ridge", True)
    [plain] = ask("collections", "create", "birds", "--format", "json").objects
    assert (plain["head"], plain["multi_label"]) == ("ladder", False)
    changes = ("--false-accept-rate", "0.01", "--coverage", "default", "--head", "ladder")
    [changed] = ask("collections", "update", "birds", *changes, "--format", "json").objects
    assert (changed["false_accept_rate"], changed["coverage"], changed["head"]) == (0.01, None, "ladder")
    assert "head" in ask("collections", "show", "birds").out


def test_costs_of_mistakes_are_given_as_rows_of_csv(ask: Run) -> None:
    given = ("--mistake-cost", "poisonous,edible,100", "--mistake-cost", '"a, b",edible,.5')
    costs = [
        {"label": "poisonous", "answered": "edible", "cost": 100.0},
        {"label": "a, b", "answered": "edible", "cost": 0.5},
    ]
    [made] = ask("collections", "create", "birds", *given, "--format", "json").objects
    assert made["mistake_costs"] == costs
    [changed] = ask("collections", "update", "birds", *given[2:], "--format", "json").objects
    assert changed["mistake_costs"] == costs[1:]
    [unset] = ask("collections", "update", "birds", "--mistake-cost", "default", "--format", "json").objects
    assert unset["mistake_costs"] is None
    for wrong in ("poisonous,edible", "poisonous,edible,much", '"a', "a,b,1,2", "", "default"):
        done = ask("collections", "create", "birds", "--mistake-cost", wrong)
        assert (done.code, "TRUTH,ANSWER,COST" in done.err) == (2, True)


@pytest.mark.parametrize(
    "given", [("update", "--head", "best"), ("create", "--head", "lda-and-prompts"), ("update", "--coverage", "much")]
)
def test_invalid_settings_of_a_collection_are_wrong_usage(ask: Run, given: tuple[str, ...]) -> None:
    done = ask("collections", given[0], "birds", *given[1:])
    assert done.code == 2
    assert "is n" in done.err
    assert ("kernel-ridge" in done.err) == ("--head" in given)


def test_a_label_shows_its_role(ask: Run) -> None:
    [none] = ask("labels", "create", "birds", "none", "--role", "negative", "--format", "json").objects
    [robin] = ask("labels", "create", "birds", "robin", "--format", "json").objects
    assert (none["role"], robin["role"]) == ("negative", "class")
    assert ask("labels", "create", "birds", "other", "--role", "other").code == 2
