-- Data sources of data integration and custom back ends. content: struct fdi_content whose secret members are sealed
-- (purpose "datasource.password").
CREATE TABLE datasource (
	id TEXT PRIMARY KEY,
	instance_id TEXT NOT NULL REFERENCES instance (id),
	app_id TEXT NOT NULL REFERENCES app (id),
	name TEXT NOT NULL,
	type TEXT NOT NULL,
	description TEXT NOT NULL,
	content TEXT NOT NULL,
	created_ms BIGINT NOT NULL,
	updated_ms BIGINT NOT NULL,
	UNIQUE (instance_id, name)
);
CREATE INDEX datasource_app ON datasource (app_id);
