"""Commands that send inputs to a collection or backbone: enroll, classify, zero-shot, search, embed, report."""
