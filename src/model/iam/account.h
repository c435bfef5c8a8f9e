/* SPDX-License-Identifier: Apache-2.0 */
#ifndef MODEL_IAM_ACCOUNT_H
#define MODEL_IAM_ACCOUNT_H

#include "api_iam.h"
#include "model/context.h"

/* A user as stored, with its account. Strings live in m->arena. */
struct iam_account {
	struct str id, name, domain_id, domain_name, description, access_mode, email, areacode, phone, xuser_type,
		xuser_id;
	struct str password_hash, password_strength;
	bool enabled, owner, change_password;
	unsigned roles; /* of its groups */
	int64_t password_ms, tokens_after_ms, last_login_ms, failing_since_ms, locked_until_ms, created_ms, updated_ms;
	int64_t failures;
};

/* A project, when it exists and is open for the account. */
struct iam_place {
	struct str id, name, domain_id;
	bool enabled;
};

/* Reads at m->tx. *ret_found false: no such user. */
int iam_account_by_id(struct model *m, struct str id, struct iam_account *ret, bool *ret_found);
/* domain_id or domain_name (the other STR_NONE); both absent: any, as long as only one domain has such a user. */
int iam_account_by_name(struct model *m, struct str name, struct str domain_id, struct str domain_name,
			struct iam_account *ret, bool *ret_found);

/* A project of the domain, by id, or by name when id is STR_NONE. */
int iam_place_find(struct model *m, struct str domain_id, struct str id, struct str name, struct iam_place *ret,
		   bool *ret_found);

/* "{management_url}{path}", for the field links.self. */
struct iam_links *iam_links_self(struct model *m, const char *fmt, ...) __attribute__((format(printf, 2, 3)));

/* Times in answers: "2019-12-06T06:49:04.000000Z"; STR_NONE for 0. */
struct str iam_time(struct model *m, int64_t ms);

#endif
