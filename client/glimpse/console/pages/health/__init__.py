"""The Health page: the report of a collection, and what to do about it.

page          what the page shows
changes       how old the report is
figures       the report's figures, tables and advice
suspects      examples that are probably mislabelled, beside what they look like
suspect_card  one of them, with what can be done
confusions    labels that are taken for each other
backbones     what another loaded backbone would gain
trial         the arithmetic of that comparison
sample        the examples of that comparison
"""
