"""`glimpse index`."""

from glimpse.cli import index_attach, index_build, index_folders, index_search, options

app = options.group("Indexes of very many vectors: build, show, search, verify, merge, compact; attach, detach.")
app.command("build", short_help="Embed files or rows, however many, into an index.")(index_build.build)
app.command("info")(index_folders.info)
app.command("search")(index_search.search)
app.command("verify", short_help="Compare an index's files with what its manifest says.")(index_folders.verify)
app.command("merge")(index_folders.merge)
app.command("compact")(index_folders.compact)
app.command("attach", short_help="Put an index under a collection: rows are examples.")(index_attach.attach)
app.command("detach")(index_attach.detach)
