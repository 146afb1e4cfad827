"""Measures how well few-shot classification works on your data, for each backbone and number of examples.

    plan = Plan(Path("pictures"), ["bundle", "glimpse-mini"], shots=[1, 4], seeds=10, cache=Path("cache"))
    evaluation = evaluate(plan, progress)
    write_report(evaluation, Path("out"))  # from glimpse.evaluate.report

Each backbone embeds every input once; the trials run in memory, without a server.
"""

from glimpse.evaluate.errors import EvaluationError
from glimpse.evaluate.evaluation import Evaluation, evaluate
from glimpse.evaluate.plan import Plan

__all__ = ["Evaluation", "EvaluationError", "Plan", "evaluate"]
