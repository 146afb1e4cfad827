"""The page Teach: pictures and texts become examples of labels.

page       the page: what to type, where to drop, the labels
labels     the labels of the collection, to choose from and to drop onto
inputs     makes examples of files and texts, without any element
drops      one drop: enrolled in batches, counted, undone
summary    the headline and the figures of a drop
findings   duplicates, conflicts and outliers of a drop, without any element
cards      a finding with both pictures, and what can be done about it
changes    changes of examples, with the way back
examples   the examples of one label, to move or delete
"""

from glimpse.console.pages.teach.page import page

__all__ = ["page"]
