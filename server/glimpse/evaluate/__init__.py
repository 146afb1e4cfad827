"""How well few-shot classification does on one's own data, with which backbone, from how many examples.

    plan = Plan(Path("pictures"), ["bundle", "glimpse-mini"], shots=[1, 4], seeds=10, cache=Path("cache"))
    found = evaluate(plan, watch)
    write_report(found, Path("out"))  # of glimpse.evaluate.report

Every input is embedded once for each backbone; trials are run in memory. No server.
"""

from glimpse.evaluate.errors import EvaluationError
from glimpse.evaluate.evaluation import Evaluation, Plan, evaluate

__all__ = ["Evaluation", "EvaluationError", "Plan", "evaluate"]
