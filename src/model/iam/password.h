/* SPDX-License-Identifier: Apache-2.0 */
#ifndef MODEL_IAM_PASSWORD_H
#define MODEL_IAM_PASSWORD_H

#include "model/iam/account.h"

#define IAM_LOCK_WINDOW_MS (15 * 60 * 1000)

/* Whose password: by id, or by name with the account's id or name. */
struct iam_login {
	struct str user_id, user_name, domain_id, domain_name;
};

/* Checks a password, slowly (argon2id) and for unknown users just as slowly. Takes transactions of its own: m->tx must
 * be NULL. settings->lock_after wrong ones within 15 minutes lock the user for settings->lock_for_ms. Errors:
 * ERR_401_WRONG_PASSWORD (unknown user too), ERR_401_ACCOUNT_LOCKED, ERR_IAM_0082 (disabled). */
int iam_password_check(struct model *m, const struct iam_login *login, struct str password, struct iam_account *ret);

/* What a password must be, beyond its description's length and character classes: not the user's name, forward or
 * backward, not a mail address or phone number of the user. Error: ERR_1118. */
int iam_password_policy(struct model *m, const struct iam_account *account, struct str password);

/* "high", "mid" or "low". */
struct str iam_password_strength(struct str password);

/* Stores a new password at m->tx, ends the lock and voids all tokens issued before. change: the user has to choose
 * another one at the first login. */
int iam_password_set(struct model *m, const struct iam_account *account, struct str password, bool change);

/* Changes the own password (KeystoneUpdateUserPassword). m->tx must be NULL. */
int iam_password_change(struct model *m, struct str user_id, struct str original, struct str password);

#endif
