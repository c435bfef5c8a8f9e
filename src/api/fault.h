/* SPDX-License-Identifier: Apache-2.0 */
#ifndef API_FAULT_H
#define API_FAULT_H

#include "api/api.h"

/* What every operation of a domain may answer, by the domain's documented codes. */
enum api_fault {
	API_FAULT_NO_CREDENTIALS,
	API_FAULT_BAD_CREDENTIALS,
	API_FAULT_FORBIDDEN,
	API_FAULT_NO_PATH,
	API_FAULT_BAD_JSON, /* body missing or not JSON */
	API_FAULT_INTERNAL,
	API_FAULT_PROJECT,  /* path names another project than the caller's */
	API_FAULT_INSTANCE, /* no such instance in the project */
	API_FAULTS
};

/* Sets err to the domain's code. detail as in err_set(). */
int api_fault(struct err *err, enum api_domain domain, enum api_fault fault, const char *detail);

/* The domain's code for a refused parameter or body field. */
int api_fault_invalid(struct err *err, enum api_domain domain, const struct schema_error *error);

/* Writes the error as reply in the documented shape. */
void api_fault_write(struct httpd_reply *reply, enum api_error_shape shape, const struct err *err,
                     struct str request_id);

#endif
