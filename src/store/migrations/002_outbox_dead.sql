-- Objects that could not be projected: the publishing of others goes on without them. seq: of the newest row of the
-- outbox that asked for it.
CREATE TABLE outbox_dead (
	kind TEXT NOT NULL,
	key TEXT NOT NULL,
	seq BIGINT NOT NULL,
	error TEXT NOT NULL,
	since_ms BIGINT NOT NULL,
	PRIMARY KEY (kind, key)
);
