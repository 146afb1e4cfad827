"""`glimpse ledger verify`: checks a ledger."""

import typer

from glimpse.cli.common import options
from glimpse.cli.common.output import printable, styled
from glimpse.cli.common.records import RecordWriter
from glimpse.cli.ledger.location import Data, LedgerUrl, ledger_settings, part_progress


def verify(
    config: options.Config = None,
    data: Data = None,
    ledger: LedgerUrl = None,
    output: options.Output = options.Format.TABLE,
) -> None:
    """Check a ledger's digests, and its rows against the sequence of changes.

    Changes nothing. Exit code 1 if there is a problem; the first hundred of each kind are printed.
    """
    with ledger_settings(config, data, ledger) as settings:
        from glimpse.ledger.maintenance.verify import verify as faults_of

        faults = faults_of(settings.ledger_url, part_progress)
    if output is not options.Format.TABLE:
        writer = RecordWriter(output, ("kind", "what", "advice"))
        writer.begin()
        for fault in faults:
            writer.write(kind=fault.kind, what=fault.what, advice=fault.advice)
        if output is options.Format.JSON:
            head = faults.head and {"revision": faults.head.revision, "digest": faults.head.digest}
            writer.write(faults=faults.counts, head=head)
    elif not faults and faults.head:
        print(f"no problem found at revision {faults.head.revision}, digest {faults.head.digest}")
    else:
        for kind in dict.fromkeys(fault.kind for fault in faults):
            same_kind = [fault for fault in faults if fault.kind == kind]
            print(styled(f"{kind}: {faults.counts[kind]:,}", "red"))
            print("\n".join(f"  {printable(fault.what)}" for fault in same_kind))
            print(f"  → {same_kind[0].advice}")
    if faults:
        raise typer.Exit(1)
