-- Identity: accounts, projects, users, groups, access keys.
CREATE TABLE iam_domain (
	id TEXT PRIMARY KEY,
	name TEXT NOT NULL UNIQUE,
	description TEXT NOT NULL,
	created_ms BIGINT NOT NULL
);

-- Resources of all domains belong to a project; suspended ones (enabled = 0) refuse every call.
CREATE TABLE project (
	id TEXT PRIMARY KEY,
	domain_id TEXT NOT NULL REFERENCES iam_domain (id) ON DELETE RESTRICT,
	name TEXT NOT NULL,
	description TEXT NOT NULL,
	enabled BIGINT NOT NULL,
	created_ms BIGINT NOT NULL,
	updated_ms BIGINT NOT NULL,
	UNIQUE (domain_id, name)
);

-- password_hash is empty for users without console access; change_password: at the first login. Tokens issued before
-- tokens_after_ms are void. failures counts wrong passwords since failing_since_ms.
CREATE TABLE iam_user (
	id TEXT PRIMARY KEY,
	domain_id TEXT NOT NULL REFERENCES iam_domain (id) ON DELETE RESTRICT,
	name TEXT NOT NULL,
	description TEXT NOT NULL,
	enabled BIGINT NOT NULL,
	owner BIGINT NOT NULL,
	access_mode TEXT NOT NULL,
	email TEXT NOT NULL,
	areacode TEXT NOT NULL,
	phone TEXT NOT NULL,
	xuser_type TEXT NOT NULL,
	xuser_id TEXT NOT NULL,
	password_hash TEXT NOT NULL,
	password_strength TEXT NOT NULL,
	password_ms BIGINT NOT NULL,
	change_password BIGINT NOT NULL,
	tokens_after_ms BIGINT NOT NULL,
	last_login_ms BIGINT NOT NULL,
	failures BIGINT NOT NULL,
	failing_since_ms BIGINT NOT NULL,
	locked_until_ms BIGINT NOT NULL,
	created_ms BIGINT NOT NULL,
	updated_ms BIGINT NOT NULL,
	UNIQUE (domain_id, name)
);

-- A group grants its roles (bits SIGN_ROLE_*) to its members.
CREATE TABLE iam_group (
	id TEXT PRIMARY KEY,
	domain_id TEXT NOT NULL REFERENCES iam_domain (id) ON DELETE RESTRICT,
	name TEXT NOT NULL,
	description TEXT NOT NULL,
	roles BIGINT NOT NULL,
	created_ms BIGINT NOT NULL,
	UNIQUE (domain_id, name)
);

CREATE TABLE iam_group_user (
	group_id TEXT NOT NULL REFERENCES iam_group (id) ON DELETE CASCADE,
	user_id TEXT NOT NULL REFERENCES iam_user (id) ON DELETE CASCADE,
	PRIMARY KEY (group_id, user_id)
);
CREATE INDEX iam_group_user_user ON iam_group_user (user_id);

CREATE TABLE iam_access_key (
	access TEXT PRIMARY KEY,
	user_id TEXT NOT NULL REFERENCES iam_user (id) ON DELETE CASCADE,
	secret_sealed TEXT NOT NULL,
	description TEXT NOT NULL,
	active BIGINT NOT NULL,
	last_use_ms BIGINT NOT NULL,
	failures BIGINT NOT NULL,
	locked_until_ms BIGINT NOT NULL,
	created_ms BIGINT NOT NULL
);
CREATE INDEX iam_access_key_user ON iam_access_key (user_id);
