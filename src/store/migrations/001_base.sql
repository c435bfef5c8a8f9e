-- What the store itself needs.
CREATE TABLE schema_migration (
	version BIGINT PRIMARY KEY,
	name TEXT NOT NULL,
	checksum TEXT NOT NULL,
	applied_ms BIGINT NOT NULL
);

-- Objects whose published state has to be projected again, in the order of their commits. The reader deletes what it
-- has done; numbers are never used twice.
CREATE TABLE outbox (
	seq BIGINT PRIMARY KEY,
	kind TEXT NOT NULL,
	key TEXT NOT NULL
);

-- The last number: a row where there is one writer; a sequence, drawn from under a lock, where there are many.
-- sqlite: CREATE TABLE outbox_last (id BIGINT PRIMARY KEY, seq BIGINT NOT NULL);
-- sqlite: INSERT INTO outbox_last (id, seq) VALUES (1, 0);
-- pg: CREATE SEQUENCE outbox_last AS BIGINT CACHE 1;
