-- Instances, and the applications that everything else belongs to. What belongs to an instance or an application
-- refers to it ON DELETE RESTRICT, so that neither can go while it holds resources.
CREATE TABLE instance (
	id TEXT PRIMARY KEY,
	project_id TEXT NOT NULL REFERENCES project (id) ON DELETE RESTRICT,
	name TEXT NOT NULL,
	description TEXT NOT NULL,
	flavor_type TEXT NOT NULL,
	status TEXT NOT NULL,
	maintain_begin TEXT NOT NULL,
	maintain_end TEXT NOT NULL,
	enterprise_project_id TEXT NOT NULL,
	created_by TEXT NOT NULL,
	created_ms BIGINT NOT NULL,
	updated_ms BIGINT NOT NULL,
	UNIQUE (project_id, name)
);

-- Keys are unique in the installation, not only in the instance: the gateway finds the application by its key alone.
-- created_by and updated_by may name users that are gone.
CREATE TABLE app (
	id TEXT PRIMARY KEY,
	instance_id TEXT NOT NULL REFERENCES instance (id) ON DELETE RESTRICT,
	name TEXT NOT NULL,
	remark TEXT NOT NULL,
	key TEXT NOT NULL UNIQUE,
	secret_sealed TEXT NOT NULL,
	created_by TEXT NOT NULL,
	created_by_name TEXT NOT NULL,
	updated_by TEXT NOT NULL,
	updated_by_name TEXT NOT NULL,
	created_ms BIGINT NOT NULL,
	updated_ms BIGINT NOT NULL,
	UNIQUE (instance_id, name)
);

-- roles: bits of enum app_role.
CREATE TABLE app_user (
	app_id TEXT NOT NULL REFERENCES app (id) ON DELETE CASCADE,
	user_id TEXT NOT NULL REFERENCES iam_user (id) ON DELETE CASCADE,
	roles BIGINT NOT NULL,
	PRIMARY KEY (app_id, user_id)
);
CREATE INDEX app_user_user ON app_user (user_id);

CREATE TABLE app_favorite (
	app_id TEXT NOT NULL REFERENCES app (id) ON DELETE CASCADE,
	user_id TEXT NOT NULL REFERENCES iam_user (id) ON DELETE CASCADE,
	PRIMARY KEY (app_id, user_id)
);
CREATE INDEX app_favorite_user ON app_favorite (user_id);
