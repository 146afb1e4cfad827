"""Writes of a re-embedding; reembedding/reads.py describes the tables."""

from collections.abc import Sequence
from dataclasses import replace

from sqlalchemy import and_, delete, exists, insert, literal, select, update

from glimpse.ledger.database import schema
from glimpse.ledger.database.batched_queries import batches
from glimpse.ledger.database.row_mapping import collection_record, example_record
from glimpse.ledger.database.transactions import Transaction
from glimpse.ledger.errors import AlreadyExists
from glimpse.ledger.records import ReembeddingRecord, ReembeddingResult
from glimpse.ledger.reembedding.reads import check_reembedding, find_reembedding, select_examples
from glimpse.ledger.writes import originals

# The columns that differ between the two sides.
_SIDE = ("backbone", "embedding_space", "dimension", "match_threshold", "match_margin", "min_space_cosine")
_examples, _vectors = schema.examples.c, schema.shadow_vectors.c
_labels, _prompts = schema.labels.c, schema.shadow_prompts.c


class ReembeddingWriter(Transaction):
    """The writes of a re-embedding. Use them through `Writer`."""

    def start_reembedding(self, collection_id: str, record: ReembeddingRecord) -> tuple[ReembeddingRecord, int]:
        """Starts a re-embedding, without vectors. Returns it and the revision. Raises AlreadyExists."""
        if find_reembedding(self.connection, collection_id):
            raise AlreadyExists(f"collection {collection_id!r} has a re-embedding")
        record = replace(record, time=self.now)
        self.connection.execute(insert(schema.shadows).values(collection_id=collection_id, **record.to_stored()))
        return record, self.append("start_migration", collection_id, {"shadow": record.to_stored()})

    def store_reembedded(
        self,
        collection_id: str,
        switches: int,
        examples: Sequence[ReembeddingResult],
        prompts: Sequence[ReembeddingResult],
    ) -> int:
        """Stores results of embedding. Rows that exist, or whose example is gone, are skipped.

        Returns:
            The revision.

        Raises:
            NotFound: the number of switches is another.
        """
        check_reembedding(self.connection, collection_id, switches)
        put, prompted = self._put(collection_id, switches, examples, prompts)
        subject = {"examples_embedded": put, "prompts_embedded": prompted}
        return self.append("embed_shadow", collection_id, subject)

    def switch_backbone(
        self,
        collection_id: str,
        switches: int,
        examples: Sequence[ReembeddingResult],
        prompts: Sequence[ReembeddingResult],
    ) -> int:
        """Stores the last results, then exchanges the two sides in the same change.

        Examples that the new side lacks are hidden; examples that only it has become visible.

        Returns:
            The revision.

        Raises:
            NotFound: the number of switches is another.
        """
        record = check_reembedding(self.connection, collection_id, switches)
        self._put(collection_id, switches, examples, prompts)
        self._exchange_prompts(collection_id, switches)
        self._exchange_sides(collection_id, record)
        return self.append("switch_backbone", collection_id, {"embedding_space": record.embedding_space})

    def end_reembedding(self, collection_id: str) -> int:
        """Ends a re-embedding; its rows are cleaned up later. Returns the revision. Raises NotFound."""
        columns = schema.shadows.c
        this = (columns.collection_id == collection_id, columns.turn >= 0)
        result = self.connection.execute(update(schema.shadows).where(*this).values(turn=-1))
        self.require_one_row(result.rowcount, f"re-embedding of {collection_id!r}")
        return self.append("end_migration", collection_id)

    def clean_up_reembedding(self, collection_id: str, count: int) -> tuple[bool, int]:
        """Cleans up some rows of a re-embedding that has ended.

        Vectors of the answering side become the examples' own; hidden examples are deleted.

        Args:
            count: at most this many rows.

        Returns:
            Whether nothing is left, and the revision.

        Raises:
            NotFound: no re-embedding of the collection has ended.
        """
        check_reembedding(self.connection, collection_id, -1)
        side = self._side_of(collection_id)
        rows = select(_vectors.sequence).where(_vectors.collection_id == collection_id).limit(count)
        batch = list(self.connection.scalars(rows))
        elsewhere = and_(_examples.sequence.in_(batch), _examples.side != side)
        # Read the records first: their visible values stay the same, and become the examples' own.
        folded = [example_record(row) for row in self.connection.execute(select_examples().where(elsewhere))]
        new = {"vector": _vectors.vector, "embedding_space": _vectors.embedding_space, "side": side}
        good = (_vectors.sequence == _examples.sequence, _vectors.problem == "")
        self.connection.execute(update(schema.examples).where(elsewhere, *good).values(new))
        gone = list(self.connection.scalars(select(_examples.id).where(elsewhere)))
        originals.delete_unused(self.connection, collection_id, elsewhere)
        self.connection.execute(delete(schema.examples).where(elsewhere))
        self.connection.execute(delete(schema.shadow_vectors).where(_vectors.sequence.in_(batch)))
        if done := len(batch) < count:
            for table in (schema.shadow_prompts, schema.shadows):
                self.connection.execute(delete(table).where(table.c.collection_id == collection_id))
        subject = {"folded": [[example.id, example.digest] for example in folded], "gone": gone, "done": done}
        return done, self.append("fold_shadow", collection_id, subject)

    def _side_of(self, collection_id: str) -> int:
        columns = schema.collections.c
        return int(self.connection.execute(select(columns.side).where(columns.id == collection_id)).scalar_one())

    def _put(
        self,
        collection_id: str,
        switches: int,
        examples: Sequence[ReembeddingResult],
        prompts: Sequence[ReembeddingResult],
    ) -> tuple[int, int]:
        """Inserts rows for results that have none yet. Returns the number of examples and of prompts."""
        common = {"collection_id": collection_id, "turn": switches}
        none, here = ~exists().where(_vectors.sequence == _examples.sequence), self._side_of(collection_id)
        conditions, lacking = (_examples.collection_id == collection_id, _examples.side == here, none), set[int]()
        for batch in batches(one.key for one in examples):
            lacking.update(
                self.connection.scalars(select(_examples.sequence).where(_examples.sequence.in_(batch), *conditions))
            )
        rows = [
            {"sequence": one.key, "collection_id": collection_id, "problem": one.problem, "vector": one.vector}
            for one in examples
            if one.key in lacking
        ]
        if rows:
            self.connection.execute(insert(schema.shadow_vectors), rows)
        prompted = 0
        for one in prompts:
            this = {**common, "label_id": one.key}
            has_label = exists().where(_labels.collection_id == collection_id, _labels.id == one.key)
            has_row = exists().where(*(_prompts[name] == value for name, value in this.items()))
            if self.connection.scalar(select(and_(has_label, ~has_row))):
                row = {**this, "problem": one.problem, "prompt_vector": one.vector}
                self.connection.execute(insert(schema.shadow_prompts).values(row))
                prompted += 1
        return len(rows), prompted

    def _exchange_prompts(self, collection_id: str, switches: int) -> None:
        this = (_prompts.collection_id == collection_id, _prompts.turn == switches)
        own = select(_labels.collection_id, _labels.id, literal(switches + 1), literal(""), _labels.prompt_vector)
        of = own.where(_labels.collection_id == collection_id, _labels.prompt_vector.is_not(None))
        names = ["collection_id", "label_id", "turn", "problem", "prompt_vector"]
        self.connection.execute(insert(schema.shadow_prompts).from_select(names, of))
        new = select(_prompts.prompt_vector).where(*this, _prompts.label_id == _labels.id).scalar_subquery()
        self.connection.execute(
            update(schema.labels).where(_labels.collection_id == collection_id).values(prompt_vector=new)
        )
        self.connection.execute(delete(schema.shadow_prompts).where(*this))

    def _exchange_sides(self, collection_id: str, record: ReembeddingRecord) -> None:
        row = self.connection.execute(select(schema.collections).where(schema.collections.c.id == collection_id)).one()
        before = collection_record(row)
        collection, reembedding = (
            schema.collections.c.id == collection_id,
            schema.shadows.c.collection_id == collection_id,
        )
        own = {name: getattr(before, name) for name in _SIDE}
        other = {name: getattr(record, name) for name in _SIDE}
        self.connection.execute(
            update(schema.collections).where(collection).values(**other, side=1 - before.side, update_time=self.now)
        )
        self.connection.execute(update(schema.shadows).where(reembedding).values(**own, turn=record.switches + 1))
