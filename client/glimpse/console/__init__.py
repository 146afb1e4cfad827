"""The console in a browser: a client of the public API, built with NiceGUI.

It imports `glimpse.client` and never the server. `glimpse console --server ADDR` runs it.

    app           the ASGI application, and how it starts and stops
    settings      where the console listens, and which server it calls
    security/     hosts and origins, sessions, the sign-in, headers of responses
    connection    one AsyncClient for each session, and whether its server answers
    session       a browser that may use the console: its cookie, its connection, its pictures
    content       kept pictures and texts by random handles
    context       what a page gets: the caller, the client, the collection, progress, navigation
    frame         the header, the navigation, the messages around each page
    components/   parts that several pages show
    pages/        one module for each page; `pages/__init__.py` lists them

Rules for a page:

- A page is an async function `page(context)`. It adds elements, calls `context.client` and returns. An exception of
  the client needs no handler: the frame shows its reason and its message.
- Labels, texts and metadata are texts. Give them to `ui.label`, to `Tag`, or to `element.props` by key:
  `element.props["label"] = name`. Never put them into `props("…")`, `classes`, `style`, HTML, Markdown,
  JavaScript, a template of a slot or an address.
- Wrap work that may take longer than a second in `with context.busy("Reading the report"):`.
- Run computations with `await context.compute(function, …)`, which uses another process. The event loop serves
  everybody.
- Ask `context.may(Scope.ENROLL)` before you offer an action. The server decides in the end.
- Addresses hold the name of the page and the id of the collection, and nothing else.
"""
