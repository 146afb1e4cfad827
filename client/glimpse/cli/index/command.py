"""The subcommands of `glimpse index`."""

from glimpse.cli.common import options
from glimpse.cli.index import attach, build, maintenance, search

app = options.group("Build, search, maintain and attach large indexes.")
app.command("build", short_help="Embed files or table rows into an index.")(build.build)
app.command("info")(maintenance.info)
app.command("search", short_help="Find the rows nearest to pictures, texts or vectors.")(search.search)
app.command("verify", short_help="Check an index's files against its manifest.")(maintenance.verify)
app.command("merge", short_help="Merge indexes of one embedding space.")(maintenance.merge)
app.command("compact", short_help="Rewrite an index without deleted rows.")(maintenance.compact)
app.command("attach", short_help="Attach an index to a collection.")(attach.attach)
app.command("detach", short_help="Detach a collection's index.")(attach.detach)
