"""The page of a collection in two dimensions.

page      the page: reads, computes, draws, and joins the parts
controls  layout, colours, what is shown, and the legend
scatter   the drawing
decisions the server's answers to the examples, each left out
example   the example that is selected
chosen    several examples that get another label together
tables    the same map in words: labels with their neighbours, and examples that fit badly
"""
