/* SPDX-License-Identifier: Apache-2.0 */
#ifndef API_CREDENTIALS_H
#define API_CREDENTIALS_H

#include "httpd/httpd.h"
#include "model/context.h"

/* For struct api.authenticate: hands what the request says about its sender to src/model/iam. */
int api_authenticate(struct model *m, const struct httpd_request *req, struct identity *ret);

#endif
