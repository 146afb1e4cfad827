"""The writes about a collection's shadow: see shadows.py."""

from collections.abc import Sequence
from dataclasses import replace

from sqlalchemy import and_, delete, exists, insert, literal, select, update

from glimpse.ledger.database import schema
from glimpse.ledger.database.batched_queries import batches
from glimpse.ledger.database.row_mapping import example_record
from glimpse.ledger.database.transactions import Transaction
from glimpse.ledger.errors import AlreadyExists
from glimpse.ledger.records import CollectionRecord, ReembeddingRecord, ReembeddingResult
from glimpse.ledger.reembedding.reads import check_reembedding, find_reembedding, select_examples
from glimpse.ledger.writes import originals

# What each side has of its own.
_SIDE = ("backbone", "embedding_space", "dimension", "match_threshold", "match_margin", "min_space_cosine")
_examples, _vectors = schema.examples.c, schema.shadow_vectors.c
_labels, _prompts = schema.labels.c, schema.shadow_prompts.c


class ReembeddingWriter(Transaction):
    """See Writer."""

    def start_reembedding(self, collection_id: str, record: ReembeddingRecord) -> tuple[ReembeddingRecord, int]:
        """Gives a collection a shadow, without vectors; returns it and the revision. Raises AlreadyExists."""
        if find_reembedding(self.connection, collection_id):
            raise AlreadyExists(f"collection {collection_id!r} has a shadow")
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
        """Stores what came of embedding some; what is there already, or there no more, is left out.

        Returns the revision. Raises NotFound where the shadow is of another turn.
        """
        check_reembedding(self.connection, collection_id, switches)
        put, prompted = self._put(collection_id, switches, examples, prompts)
        told = {"examples_embedded": put, "prompts_embedded": prompted}
        return self.append("embed_shadow", collection_id, told)

    def switch_backbone(
        self,
        collection_id: str,
        switches: int,
        examples: Sequence[ReembeddingResult],
        prompts: Sequence[ReembeddingResult],
    ) -> int:
        """Exchanges a collection's two sides, once the last examples and prompts of the other side are stored.

        Examples that the other side lacks are hidden from then on, those that this one lacked are not any more. Returns
        the revision. Raises NotFound.
        """
        shadow = check_reembedding(self.connection, collection_id, switches)
        self._put(collection_id, switches, examples, prompts)
        self._exchange_prompts(collection_id, switches)
        self._exchange_sides(collection_id, shadow)
        return self.append("switch_backbone", collection_id, {"embedding_space": shadow.embedding_space})

    def end_reembedding(self, collection_id: str) -> int:
        """Gives up the side that does not answer, which is to be folded; returns the revision. Raises NotFound."""
        there = schema.shadows.c
        this = (there.collection_id == collection_id, there.turn >= 0)
        found = self.connection.execute(update(schema.shadows).where(*this).values(turn=-1))
        self.require_one_row(found.rowcount, f"migration of {collection_id!r}")
        return self.append("end_migration", collection_id)

    def clean_up_reembedding(self, collection_id: str, count: int) -> tuple[bool, int]:
        """Makes the vectors of some examples their own, and deletes some that were hidden, of an ended migration.

        Returns whether that was all there was, and the revision. Raises NotFound.
        """
        check_reembedding(self.connection, collection_id, -1)
        side = self._side_of(collection_id)
        rows = select(_vectors.sequence).where(_vectors.collection_id == collection_id).limit(count)
        some = list(self.connection.scalars(rows))
        elsewhere = and_(_examples.sequence.in_(some), _examples.side != side)
        # Before: what is seen is the same after, and their own.
        folded = [example_record(row) for row in self.connection.execute(select_examples().where(elsewhere))]
        new = {"vector": _vectors.vector, "embedding_space": _vectors.embedding_space, "side": side}
        good = (_vectors.sequence == _examples.sequence, _vectors.problem == "")
        self.connection.execute(update(schema.examples).where(elsewhere, *good).values(new))
        gone = list(self.connection.scalars(select(_examples.id).where(elsewhere)))
        originals.delete_unused(self.connection, collection_id, elsewhere)
        self.connection.execute(delete(schema.examples).where(elsewhere))
        self.connection.execute(delete(schema.shadow_vectors).where(_vectors.sequence.in_(some)))
        if done := len(some) < count:
            for table in (schema.shadow_prompts, schema.shadows):
                self.connection.execute(delete(table).where(table.c.collection_id == collection_id))
        told = {"folded": [[one.id, one.digest] for one in folded], "gone": gone, "done": done}
        return done, self.append("fold_shadow", collection_id, told)

    def _side_of(self, collection_id: str) -> int:
        there = schema.collections.c
        return int(self.connection.execute(select(there.side).where(there.id == collection_id)).scalar_one())

    def _put(
        self,
        collection_id: str,
        switches: int,
        examples: Sequence[ReembeddingResult],
        prompts: Sequence[ReembeddingResult],
    ) -> tuple[int, int]:
        """Rows for what is there and has none; returns how many of each."""
        common = {"collection_id": collection_id, "turn": switches}
        none, here = ~exists().where(_vectors.sequence == _examples.sequence), self._side_of(collection_id)
        there, lacking = (_examples.collection_id == collection_id, _examples.side == here, none), set[int]()
        for some in batches(one.key for one in examples):
            lacking.update(
                self.connection.scalars(select(_examples.sequence).where(_examples.sequence.in_(some), *there))
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

    def _exchange_sides(self, collection_id: str, shadow: ReembeddingRecord) -> None:
        row = self.connection.execute(select(schema.collections).where(schema.collections.c.id == collection_id)).one()
        before = CollectionRecord(**row._mapping)
        here, there = schema.collections.c.id == collection_id, schema.shadows.c.collection_id == collection_id
        own = {name: getattr(before, name) for name in _SIDE}
        other = {name: getattr(shadow, name) for name in _SIDE}
        self.connection.execute(
            update(schema.collections).where(here).values(**other, side=1 - before.side, update_time=self.now)
        )
        self.connection.execute(update(schema.shadows).where(there).values(**own, turn=shadow.switches + 1))
