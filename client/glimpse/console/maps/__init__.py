"""The mathematics of the page Map: which examples it shows, where they lie, and how they fit their labels.

    sample      reads the examples of a collection, and keeps a fair sample of a large one
    projection  two coordinates for each example, by PCA or UMAP
    fit         how well each example fits the mean of its label
    layout      all of it for one collection, in one function for another process
    coloring    the classes that colour the points
    cache       maps that were made, by the revision of the collection

`projection`, `fit` and `layout` import NumPy and never NiceGUI, so that the other process starts fast.
"""
