-- Custom back ends. doc: struct apic_livedata_api without what columns say, scripts included, as it is edited. status:
-- 1 to be developed, 3 in development, 4 deployed. deploy_id: the row of livedata_deploy whose definition runs. api_id,
-- env_id, group_id: the front API of that deployment.
CREATE TABLE livedata_api (
	id TEXT PRIMARY KEY,
	instance_id TEXT NOT NULL REFERENCES instance (id),
	app_id TEXT NOT NULL REFERENCES app (id),
	name TEXT NOT NULL,
	method TEXT NOT NULL,
	path TEXT NOT NULL,
	type TEXT,
	status BIGINT NOT NULL,
	doc TEXT NOT NULL,
	deploy_id TEXT,
	api_id TEXT,
	group_id TEXT,
	env_id TEXT,
	created_ms BIGINT NOT NULL,
	updated_ms BIGINT NOT NULL,
	UNIQUE (instance_id, name),
	UNIQUE (instance_id, path, method)
);
CREATE INDEX livedata_api_instance ON livedata_api (instance_id, created_ms);
CREATE INDEX livedata_api_app ON livedata_api (app_id);
CREATE INDEX livedata_api_front ON livedata_api (api_id);

-- The data sources its scripts name, as edited (deployed = 0) and as deployed (1); they cannot go while there is a row.
CREATE TABLE livedata_source (
	ld_api_id TEXT NOT NULL REFERENCES livedata_api (id) ON DELETE CASCADE,
	deployed BIGINT NOT NULL,
	datasource_id TEXT NOT NULL REFERENCES datasource (id),
	PRIMARY KEY (ld_api_id, deployed, datasource_id)
);
CREATE INDEX livedata_source_datasource ON livedata_source (datasource_id);

-- Deployments, the newest of each back end kept. doc: struct apic_livedata_api as deployed.
CREATE TABLE livedata_deploy (
	id TEXT PRIMARY KEY,
	ld_api_id TEXT NOT NULL REFERENCES livedata_api (id) ON DELETE CASCADE,
	api_id TEXT,
	group_id TEXT,
	env_id TEXT,
	doc TEXT NOT NULL,
	deployed_ms BIGINT NOT NULL
);
CREATE INDEX livedata_deploy_api ON livedata_deploy (ld_api_id, deployed_ms);

-- Test runs, the newest of each back end kept. doc: struct apic_livedata_test.
CREATE TABLE livedata_test (
	id BIGINT PRIMARY KEY,
	ld_api_id TEXT NOT NULL REFERENCES livedata_api (id) ON DELETE CASCADE,
	doc TEXT NOT NULL,
	tested_ms BIGINT NOT NULL
);
CREATE INDEX livedata_test_api ON livedata_test (ld_api_id, id);
