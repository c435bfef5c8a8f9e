-- API management. What may be deleted when is said twice: by the rules of the model, with their documented codes, and
-- here, where a reference without ON DELETE CASCADE refuses.

-- DEFAULT belongs to its instance (is_default = 1, no app); the others to an integration application.
CREATE TABLE api_group (
	id TEXT PRIMARY KEY,
	instance_id TEXT NOT NULL REFERENCES instance (id),
	app_id TEXT REFERENCES app (id),
	name TEXT NOT NULL,
	remark TEXT NOT NULL,
	status BIGINT NOT NULL,
	is_default BIGINT NOT NULL,
	sl_domain TEXT NOT NULL UNIQUE,
	version TEXT NOT NULL,
	call_limits BIGINT,
	time_interval BIGINT,
	time_unit TEXT,
	created_ms BIGINT NOT NULL,
	updated_ms BIGINT NOT NULL,
	UNIQUE (instance_id, name)
);
CREATE INDEX api_group_app ON api_group (app_id);

-- Every instance has one called RELEASE, with id DEFAULT_ENVIRONMENT_RELEASE_ID.
CREATE TABLE api_env (
	instance_id TEXT NOT NULL REFERENCES instance (id),
	id TEXT NOT NULL,
	name TEXT NOT NULL,
	remark TEXT NOT NULL,
	created_ms BIGINT NOT NULL,
	PRIMARY KEY (instance_id, id),
	UNIQUE (instance_id, name)
);

CREATE TABLE env_variable (
	id TEXT PRIMARY KEY,
	instance_id TEXT NOT NULL,
	group_id TEXT NOT NULL REFERENCES api_group (id) ON DELETE CASCADE,
	env_id TEXT NOT NULL,
	name TEXT NOT NULL,
	value TEXT NOT NULL,
	created_ms BIGINT NOT NULL,
	updated_ms BIGINT NOT NULL,
	FOREIGN KEY (instance_id, env_id) REFERENCES api_env (instance_id, id) ON DELETE CASCADE,
	UNIQUE (group_id, env_id, name)
);
CREATE INDEX env_variable_env ON env_variable (instance_id, env_id);

-- instance_id NULL: usable by all instances of the project. doc: what was read from the certificate.
CREATE TABLE certificate (
	id TEXT PRIMARY KEY,
	project_id TEXT NOT NULL REFERENCES project (id),
	instance_id TEXT REFERENCES instance (id),
	name TEXT NOT NULL,
	type TEXT NOT NULL,
	content TEXT NOT NULL,
	key_sealed TEXT NOT NULL,
	trusted_root_ca TEXT,
	common_name TEXT NOT NULL,
	not_after_ms BIGINT NOT NULL,
	doc TEXT NOT NULL,
	created_ms BIGINT NOT NULL,
	updated_ms BIGINT NOT NULL
);
CREATE INDEX certificate_project ON certificate (project_id, name);

-- Domain names users bind to a group, in lower case. A name leads to one group in the whole installation. Who deletes a
-- group says so for each of its host names.
CREATE TABLE url_domain (
	id TEXT PRIMARY KEY,
	instance_id TEXT NOT NULL REFERENCES instance (id),
	group_id TEXT NOT NULL REFERENCES api_group (id) ON DELETE CASCADE,
	domain TEXT NOT NULL UNIQUE,
	status BIGINT NOT NULL,
	min_ssl_version TEXT NOT NULL,
	http_redirect_to_https BIGINT NOT NULL,
	verified_client_certificate BIGINT NOT NULL,
	created_ms BIGINT NOT NULL,
	updated_ms BIGINT NOT NULL
);
CREATE INDEX url_domain_group ON url_domain (group_id);
CREATE INDEX url_domain_instance ON url_domain (instance_id);

CREATE TABLE url_domain_certificate (
	domain_id TEXT NOT NULL REFERENCES url_domain (id) ON DELETE CASCADE,
	certificate_id TEXT NOT NULL REFERENCES certificate (id),
	PRIMARY KEY (domain_id, certificate_id)
);
CREATE INDEX url_domain_certificate_certificate ON url_domain_certificate (certificate_id);

-- doc: struct apic_authorizer.
CREATE TABLE authorizer (
	id TEXT PRIMARY KEY,
	instance_id TEXT NOT NULL REFERENCES instance (id),
	app_id TEXT REFERENCES app (id),
	name TEXT NOT NULL,
	type TEXT NOT NULL,
	ld_api_id TEXT,
	doc TEXT NOT NULL,
	created_ms BIGINT NOT NULL,
	UNIQUE (instance_id, name)
);
CREATE INDEX authorizer_app ON authorizer (app_id);

-- The definition as it is edited; what callers meet is the version that is published. shape: which requests the path
-- matches, whatever its parameters are called: {} one segment, {+} the rest, {*} at the end of match mode SWA. doc: struct
-- apic_api without what columns of other tables say.
CREATE TABLE api (
	id TEXT PRIMARY KEY,
	instance_id TEXT NOT NULL REFERENCES instance (id),
	group_id TEXT NOT NULL REFERENCES api_group (id),
	app_id TEXT NOT NULL REFERENCES app (id),
	name TEXT NOT NULL,
	type BIGINT NOT NULL,
	req_protocol TEXT NOT NULL,
	req_method TEXT NOT NULL,
	req_uri TEXT NOT NULL,
	match_mode TEXT NOT NULL,
	shape TEXT NOT NULL,
	auth_type TEXT NOT NULL,
	backend_type TEXT NOT NULL,
	authorizer_id TEXT REFERENCES authorizer (id),
	ld_api_id TEXT,
	vpc_channel_id TEXT,
	doc TEXT NOT NULL,
	created_ms BIGINT NOT NULL,
	updated_ms BIGINT NOT NULL,
	UNIQUE (group_id, name),
	UNIQUE (group_id, shape, req_method)
);
CREATE INDEX api_instance ON api (instance_id, created_ms);
CREATE INDEX api_app ON api (app_id);
CREATE INDEX api_authorizer ON api (authorizer_id);
CREATE INDEX api_ld ON api (ld_api_id);

CREATE TABLE api_tag (
	api_id TEXT NOT NULL REFERENCES api (id) ON DELETE CASCADE,
	tag TEXT NOT NULL,
	PRIMARY KEY (api_id, tag)
);
CREATE INDEX api_tag_tag ON api_tag (tag);

-- Definitions as they were published, at most 10 per API and environment. doc: struct apic_api, as the user wrote it.
-- path: req_uri percent-decoded, as requests are matched. backend_*: with the environment's variables filled in.
CREATE TABLE api_version (
	id TEXT PRIMARY KEY,
	instance_id TEXT NOT NULL,
	api_id TEXT NOT NULL REFERENCES api (id) ON DELETE CASCADE,
	env_id TEXT NOT NULL,
	version_no TEXT NOT NULL,
	remark TEXT NOT NULL,
	group_id TEXT NOT NULL REFERENCES api_group (id) ON DELETE CASCADE,
	req_method TEXT NOT NULL,
	path TEXT NOT NULL,
	match_mode TEXT NOT NULL,
	shape TEXT NOT NULL,
	backend_address TEXT,
	backend_path TEXT,
	doc TEXT NOT NULL,
	published_ms BIGINT NOT NULL,
	FOREIGN KEY (instance_id, env_id) REFERENCES api_env (instance_id, id) ON DELETE CASCADE
);
CREATE INDEX api_version_api ON api_version (api_id, env_id, published_ms);
CREATE INDEX api_version_env ON api_version (instance_id, env_id);
CREATE INDEX api_version_group ON api_version (group_id);

-- Which version an environment serves. Method, path and match mode stand here again so that the router of a group is
-- compiled from one index; neither the API nor its environment or group goes while there is a row.
CREATE TABLE api_publish (
	id TEXT PRIMARY KEY,
	instance_id TEXT NOT NULL,
	api_id TEXT NOT NULL REFERENCES api (id),
	env_id TEXT NOT NULL,
	version_id TEXT NOT NULL REFERENCES api_version (id),
	group_id TEXT NOT NULL REFERENCES api_group (id),
	req_method TEXT NOT NULL,
	path TEXT NOT NULL,
	match_mode TEXT NOT NULL,
	shape TEXT NOT NULL,
	remark TEXT NOT NULL,
	published_ms BIGINT NOT NULL,
	FOREIGN KEY (instance_id, env_id) REFERENCES api_env (instance_id, id),
	UNIQUE (api_id, env_id),
	UNIQUE (group_id, env_id, shape, req_method)
);
CREATE INDEX api_publish_route ON api_publish (group_id, env_id, api_id, req_method, path, match_mode);
CREATE INDEX api_publish_env ON api_publish (instance_id, env_id);
CREATE INDEX api_publish_version ON api_publish (version_id);

-- Definitions that are being debugged, for the time of one call: an environment of its own each, named id. env_name is what
-- the back end is told.
CREATE TABLE api_debug (
	id TEXT PRIMARY KEY,
	api_id TEXT NOT NULL REFERENCES api (id),
	group_id TEXT NOT NULL,
	env_name TEXT NOT NULL,
	path TEXT NOT NULL,
	backend_address TEXT,
	backend_path TEXT,
	doc TEXT NOT NULL,
	created_ms BIGINT NOT NULL
);
CREATE INDEX api_debug_api ON api_debug (api_id);

-- An app may call an API in an environment. doc: struct apic_api_auth, what has no column. Rows go only by name, never
-- with what they refer to: a right that is published has to be taken back there as well.
CREATE TABLE app_auth (
	id TEXT PRIMARY KEY,
	instance_id TEXT NOT NULL,
	api_id TEXT NOT NULL REFERENCES api (id),
	env_id TEXT NOT NULL,
	app_id TEXT NOT NULL REFERENCES app (id),
	doc TEXT,
	created_ms BIGINT NOT NULL,
	FOREIGN KEY (instance_id, env_id) REFERENCES api_env (instance_id, id),
	UNIQUE (api_id, env_id, app_id)
);
CREATE INDEX app_auth_app ON app_auth (app_id);
CREATE INDEX app_auth_env ON app_auth (instance_id, env_id);

-- code_hash: hex SHA-256 of the AppCode, by which a call finds its app. code_sealed: base64, for those who may read it.
CREATE TABLE app_code (
	id TEXT PRIMARY KEY,
	app_id TEXT NOT NULL REFERENCES app (id),
	code_sealed TEXT NOT NULL,
	code_hash TEXT NOT NULL UNIQUE,
	created_ms BIGINT NOT NULL
);
CREATE INDEX app_code_app ON app_code (app_id);
