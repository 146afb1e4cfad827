"""The Review page: kept queries in groups, and what people say they are.

    page          what the page shows, and when
    board         what it reads from the server
    queue         the groups that wait, and the one that is shown
    choices       what a group can be called, and results in words
    desk          the parts of the page around one group, and its keys
    resolver      calls that resolve and undo, one after another
    policy        what is kept, switching it on, deleting it

The others show one part each.
"""
