-- Topics of message integration: what the platform adds to a topic of Kafka, which holds the messages. A name is one
-- topic of the one Kafka, so it is unique in the installation. state: 'creating' and 'deleting' say that Kafka was
-- asked and the answer is not yet recorded; 'ready' that the topic is there.
CREATE TABLE mqs_topic (
	name TEXT PRIMARY KEY,
	instance_id TEXT NOT NULL REFERENCES instance (id),
	app_id TEXT NOT NULL REFERENCES app (id),
	state TEXT NOT NULL,
	partitions BIGINT NOT NULL,
	replication BIGINT NOT NULL,
	retention_hours BIGINT NOT NULL,
	sync_flush BIGINT NOT NULL,
	sync_replication BIGINT NOT NULL,
	description TEXT NOT NULL,
	sensitive_word TEXT NOT NULL,
	created_ms BIGINT NOT NULL,
	updated_ms BIGINT NOT NULL
);
CREATE INDEX mqs_topic_instance ON mqs_topic (instance_id);
CREATE INDEX mqs_topic_app ON mqs_topic (app_id);

-- Who may use a topic, its owner too. access: all, pub, sub. tag: as given, "a || b", for all "pub tags & sub tags".
CREATE TABLE mqs_policy (
	topic TEXT NOT NULL REFERENCES mqs_topic (name) ON DELETE CASCADE,
	app_id TEXT NOT NULL REFERENCES app (id),
	access TEXT NOT NULL,
	tag TEXT NOT NULL,
	created_ms BIGINT NOT NULL,
	PRIMARY KEY (topic, app_id)
);
CREATE INDEX mqs_policy_app ON mqs_policy (app_id);
