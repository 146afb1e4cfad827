"""Pages without any script: the sign-in, no server, no such page."""

from string import Template

from starlette.responses import HTMLResponse

_PAGE = Template("""<!doctype html>
<html lang="en"><head><meta charset="utf-8"><meta name="viewport" content="width=device-width, initial-scale=1">
$refresh<title>$title – Glimpse</title><link rel="stylesheet" href="/assets/console.css">
<link rel="icon" href="/assets/glimpse.svg"></head>
<body class="plain"><main class="sign-in"><h1>Glimpse</h1>$body</main></body></html>
""")


def plain_page(title: str, body: str, status: int, *, refresh_seconds: int = 0) -> HTMLResponse:
    """Returns a page.

    Args:
        title: Its title, without special characters.
        body: Its body as HTML, in which everything from outside is escaped.
        status: Status of the response.
        refresh_seconds: Seconds after which the browser loads it again. 0: never.
    """
    refresh = f'<meta http-equiv="refresh" content="{refresh_seconds}">' if refresh_seconds else ""
    text = _PAGE.substitute(refresh=refresh, title=title, body=body)
    return HTMLResponse(text, status, headers={"Cache-Control": "no-store"})
