/* SPDX-License-Identifier: Apache-2.0 */
#ifndef MODEL_APIC_PUBLISH_H
#define MODEL_APIC_PUBLISH_H

#include "model/context.h"

/* What a change of API management has to be said of, in the transaction that makes it. A key names the value in the
 * published state, so that it is known even when the row behind it is gone:
 *
 *   kind      key                          value
 *   api       <env_id>/<api_id>            the definition an environment serves
 *   route     <group_id>/<env name>        router of a group in an environment
 *   host      <lower-case host name>       which group answers on a sub-domain or bound domain, with
 *                                        which certificates
 *   group     <group_id>                   which group is called by address: to be said of groups DEFAULT
 *   app_auth  <env_id>/<api_id>/<app_id>   the right of an app to call
 *   app_code  <hex SHA-256>                the app behind an AppCode
 *   debug     <stage>/<group_id>/<api_id>  an environment made for one debugging call, and its router
 *
 * APIs and routes are said by api_publish() and its like. Who creates or deletes a group says "host" for its
 * sub-domain; who binds or unbinds a domain says "host". Who deletes an app says "app_auth" and "app_code" for each of
 * the rows it has to delete with it. Who renames an environment calls publish_env_renamed(). */

/* Absent parts are left out of the key. */
int publish_say(struct model *m, const char *kind, struct str a, struct str b, struct str c);

/* The environment had the name old_name before: routers are found by it, and definitions carry it. */
int publish_env_renamed(struct model *m, struct str instance_id, struct str env_id, struct str old_name);

#endif
