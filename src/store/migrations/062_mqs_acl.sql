-- Entries of the access control list of a Kafka that runs elsewhere which the platform has made or is about to make:
-- what it may take back. resource and operation: Kafka's numbers; principal: an application's key. applied: Kafka has
-- it.
CREATE TABLE mqs_acl (
	resource BIGINT NOT NULL,
	name TEXT NOT NULL,
	principal TEXT NOT NULL,
	operation BIGINT NOT NULL,
	applied BIGINT NOT NULL,
	PRIMARY KEY (resource, name, principal, operation)
);
