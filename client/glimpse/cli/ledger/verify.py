"""`glimpse ledger verify`."""

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
    """Check that a ledger is whole: its digests, and that its rows are what its changes say. Changes nothing.

    Exit code 1 where something is wrong; of each kind the first hundred are told.
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
        print(f"the ledger is whole at revision {faults.head.revision}, digest {faults.head.digest}")
    else:
        told = dict.fromkeys(fault.kind for fault in faults)
        for kind in told:
            some = [fault for fault in faults if fault.kind == kind]
            print(styled(f"{kind}: {faults.counts[kind]:,}", "red"))
            print("\n".join(f"  {printable(fault.what)}" for fault in some))
            print(f"  → {some[0].advice}")
    if faults:
        raise typer.Exit(1)
