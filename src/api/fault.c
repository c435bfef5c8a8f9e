/* SPDX-License-Identifier: Apache-2.0 */
#include "api/fault.h"

#include "base/mem.h"
#include "json/json.h"

/* Statuses where the operations' own descriptions and the list of codes differ are the operations'. */
struct fault_row {
	int code, status;
};

/* clang-format off */
static const struct fault_row rows[API_DOMAINS][API_FAULTS] = {
	[API_COMMON] = {{ERR_APPIA_0401, 401}, {ERR_APPIA_0401, 401}, {ERR_APPIA_0403, 403}, {ERR_APPIA_0404, 404},
	                {ERR_APPIA_0400, 400}, {ERR_APPIA_0500, 500}, {ERR_APPIA_0403, 403}, {ERR_APPIA_0404, 404}},
	[API_PUBLIC] = {{ERR_ROMA_1000, 401}, {ERR_ROMA_1002, 401}, {ERR_ROMA_1006, 403}, {ERR_APPIA_0404, 404},
	                {ERR_ROMA_13001, 400}, {ERR_APPIA_0500, 500}, {ERR_ROMA_4011000, 403}, {ERR_ROMA_14002, 404}},
	[API_APIC] = {{ERR_APIG_1002, 401}, {ERR_APIG_1002, 401}, {ERR_APIG_1005, 403}, {ERR_APIG_9996, 404},
	              {ERR_APIG_2000, 400}, {ERR_APIG_9999, 500}, {ERR_APIG_1300, 403}, {ERR_APIG_3030, 404}},
	[API_FDI] = {{ERR_APPIA_0401, 401}, {ERR_APPIA_0401, 401}, {ERR_APPIA_0403, 403}, {ERR_APPIA_0404, 404},
	             {ERR_FDI_3002, 400}, {ERR_APPIA_0500, 500}, {ERR_APPIA_0403, 403}, {ERR_FDI_3179, 404}},
	[API_MQS] = {{ERR_MQS_00401001, 401}, {ERR_MQS_00401001, 401}, {ERR_MQS_00403003, 403}, {ERR_MQS_00404001, 404},
	             {ERR_MQS_00400005, 400}, {ERR_MQS_00500000, 500}, {ERR_MQS_00403003, 403},
	             {ERR_MQS_00404022, 404}},
	[API_LINK] = {{ERR_APPIA_0401, 401}, {ERR_APPIA_0401, 401}, {ERR_APPIA_0403, 403}, {ERR_APPIA_0404, 404},
	              {ERR_APPIA_0400, 400}, {ERR_APPIA_0500, 500}, {ERR_APPIA_0403, 403}, {ERR_APPIA_0404, 404}},
	[API_IAM] = {{ERR_IAM_0001, 401}, {ERR_IAM_0067, 401}, {ERR_IAM_0002, 403}, {ERR_APPIA_0404, 404},
	             {ERR_IAM_0011, 400}, {ERR_APPIA_0500, 500}, {ERR_IAM_0002, 403}, {ERR_APPIA_0404, 404}},
	[API_DEVSTAR] = {{ERR_APPIA_0401, 401}, {ERR_APPIA_0401, 401}, {ERR_APPIA_0403, 403}, {ERR_APPIA_0404, 404},
	                 {ERR_APPIA_0400, 400}, {ERR_APPIA_0500, 500}, {ERR_APPIA_0403, 403}, {ERR_APPIA_0404, 404}},
	[API_SERVERS] = {{ERR_APPIA_0401, 401}, {ERR_APPIA_0401, 401}, {ERR_APPIA_0403, 403}, {ERR_APPIA_0404, 404},
	                 {ERR_APPIA_0400, 400}, {ERR_APPIA_0500, 500}, {ERR_APPIA_0403, 403}, {ERR_APPIA_0404, 404}},
	[API_INTERNAL] = {{ERR_APPIA_0401, 401}, {ERR_APPIA_0401, 401}, {ERR_APPIA_0403, 403}, {ERR_APPIA_0404, 404},
	                  {ERR_APPIA_0400, 400}, {ERR_APPIA_0500, 500}, {ERR_APPIA_0403, 403}, {ERR_APPIA_0404, 404}},
};
/* clang-format on */

int api_fault(struct err *err, enum api_domain domain, enum api_fault fault, const char *detail)
{
	const struct fault_row *row = &rows[domain][fault];

	return detail ? err_set_status(err, row->code, row->status, "%s", detail)
	              : err_set_status(err, row->code, row->status, NULL);
}

static int apic_invalid(struct err *err, const struct schema_error *e)
{
	static const int codes[] = {
		[SCHEMA_MISSING] = ERR_APIG_2001,      [SCHEMA_WRONG_TYPE] = ERR_APIG_2012,
		[SCHEMA_TOO_LONG] = ERR_APIG_2006,     [SCHEMA_TOO_SHORT] = ERR_APIG_2005,
		[SCHEMA_OUT_OF_RANGE] = ERR_APIG_2004, [SCHEMA_NOT_IN_ENUM] = ERR_APIG_2012,
		[SCHEMA_BAD_PATTERN] = ERR_APIG_2011,  [SCHEMA_TOO_MANY] = ERR_APIG_2012,
		[SCHEMA_TOO_FEW] = ERR_APIG_2012,
	};
	int code = codes[e->fault];

	if (code == ERR_APIG_2011 || code == ERR_APIG_2012)
		return err_set_text(err, code, "Invalid parameter value,parameterName:%s. %s: %s", e->name, e->path,
				    e->why);
	return err_set(err, code, "parameterName:%s. %s: %s", e->name, e->path, e->why);
}

int api_fault_invalid(struct err *err, enum api_domain domain, const struct schema_error *e)
{
	switch (domain) {
	case API_APIC:
		return apic_invalid(err, e);
	case API_PUBLIC:
		return err_set(err, ERR_ROMA_13000, "parameterName:%s. %s: %s", e->name, e->path, e->why);
	case API_FDI:
		return err_set(err, ERR_FDI_3033, "%s: %s", e->path, e->why);
	case API_MQS:
		return err_set(err, ERR_MQS_00400062, "%s: %s", e->path, e->why);
	case API_IAM:
		if (e->fault == SCHEMA_MISSING)
			return err_set(err, ERR_IAM_1103, "%s", e->path);
		return err_set(err, ERR_IAM_0007, "%s: %s", e->path, e->why);
	default:
		return err_set(err, ERR_APPIA_0400, "%s: %s", e->path, e->why);
	}
}

static void member(struct buf *out, const char *name, struct str value)
{
	if (out->n && out->p[out->n - 1] != '{')
		buf_char(out, ',');
	buf_fmt(out, "\"%s\":", name);
	json_print_str(out, value);
}

static const char *title_of(int status)
{
	switch (status) {
	case 400:
		return "Bad Request";
	case 401:
		return "Unauthorized";
	case 403:
		return "Forbidden";
	case 404:
		return "Not Found";
	case 405:
		return "Method Not Allowed";
	case 409:
		return "Conflict";
	case 413:
		return "Request Entity Too Large";
	case 503:
		return "Service Unavailable";
	default:
		return status < 500 ? "Bad Request" : "Internal Server Error";
	}
}

void api_fault_write(struct httpd_reply *reply, enum api_error_shape shape, const struct err *err,
                     struct str request_id)
{
	const struct err_row *row = err_row(err->code);
	struct buf *out = &reply->body;

	buf_reset(out);
	reply->status = err->status ? err->status : row->status;
	reply->content_type = STR("application/json");
	buf_char(out, '{');
	if (shape == API_ERROR_IAM) {
		buf_fmt(out, "\"error\":{\"code\":%d", reply->status);
		member(out, "message", str_of(err->text));
		member(out, "title", str_of(title_of(reply->status)));
		member(out, "error_code", str_of(row->code));
		buf_cstr(out, "}}");
		return;
	}
	member(out, shape == API_ERROR_SHARE ? "errCode" : "error_code", str_of(row->code));
	member(out, shape == API_ERROR_SHARE ? "errMsg" : "error_msg", str_of(err->text));
	if (shape == API_ERROR_PUBLIC)
		member(out, "error_details", str_of(row->explain));
	if (shape == API_ERROR_FDI)
		member(out, "detail", str_of(row->explain));
	member(out, "request_id", request_id);
	buf_char(out, '}');
}
