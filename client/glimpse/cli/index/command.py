"""`glimpse index`."""

from glimpse.cli.common import options
from glimpse.cli.index import attach, build, maintenance, search

app = options.group("Indexes of very many vectors: build, show, search, verify, merge, compact; attach, detach.")
app.command("build", short_help="Embed files or rows, however many, into an index.")(build.build)
app.command("info")(maintenance.info)
app.command("search")(search.search)
app.command("verify", short_help="Compare an index's files with what its manifest says.")(maintenance.verify)
app.command("merge")(maintenance.merge)
app.command("compact")(maintenance.compact)
app.command("attach", short_help="Put an index under a collection: rows are examples.")(attach.attach)
app.command("detach")(attach.detach)
