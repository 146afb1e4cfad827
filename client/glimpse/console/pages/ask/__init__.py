"""The page Ask: a picture or a text is answered, with the reason.

page         the page: what to ask, how to ask it, the answers
questions    to whom a query goes: collections, or texts as labels
answers      one answered query
verdicts     an answer in words, without any element
"""

from glimpse.console.pages.ask.page import page

__all__ = ["page"]
