"""`glimpse index`."""

from glimpse.cli import index_attach, index_build, index_folders, index_search, options

app = options.group("Indexes of very many vectors: build, show, search, verify, merge, compact; attach, detach.")
app.command("build")(index_build.build)
app.command("info")(index_folders.info)
app.command("search")(index_search.search)
app.command("verify")(index_folders.verify)
app.command("merge")(index_folders.merge)
app.command("compact")(index_folders.compact)
app.command("attach")(index_attach.attach)
app.command("detach")(index_attach.detach)
