/* SPDX-License-Identifier: Apache-2.0 */
#ifndef BIN_APPIAD_MQS_SETTINGS_H
#define BIN_APPIAD_MQS_SETTINGS_H

#include "conf/conf.h"
#include "model/context.h"
#include "sign/sign.h"

/* Purpose of sign_seal() for mqs.sasl_password, which then reads "sealed:..." */
#define MQS_SEAL_PASSWORD "mqs.sasl_password"
#define MQS_SEALED "sealed:"

/* Which Kafka message integration manages, and how, by the settings mqs.*: fills in s->mqs_*. With the engine
 * "embedded" that is the platform's own broker, at the first of its listeners that is open. Texts live in the arena or
 * as long as conf. Settings that do not fit together are ERR_APPIA_0400 with a text for who wrote them. */
int mqs_settings_fill(const struct conf *conf, const struct sign_keyring *keys, struct arena *a,
		      struct model_settings *s, struct err *err);

#endif
