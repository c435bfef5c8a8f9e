/* SPDX-License-Identifier: Apache-2.0 */
#include "base/enc.h"
#include "policy/priv.h"

#include <stdio.h>

int policy__refuse(struct err *err, const char *fmt, ...)
{
	char text[512];
	va_list ap;

	va_start(ap, fmt);
	vsnprintf(text, sizeof(text), fmt, ap);
	va_end(ap);
	return err_set_text(err, ERR_APIG_0201_REQUEST_ERROR, "API request error: %s", text);
}

int policy__query(struct policy__values *values, struct err *err)
{
	if (values->query_parsed)
		return 0;
	int rc = policy_query_parse(values->arena, values->req->query, &values->query, &values->n_query, err);

	values->query_parsed = rc == 0;
	return rc;
}

static struct str nth_pair(const struct sign_pair *pairs, size_t n_pairs, struct str name, bool nocase, size_t n)
{
	for (size_t i = 0; i < n_pairs; i++) {
		if ((nocase ? str_eq_nocase(pairs[i].name, name) : str_eq(pairs[i].name, name)) && n-- == 0)
			return pairs[i].value;
	}
	return STR_NONE;
}

int policy__value(struct policy__values *values, enum pub_location location, struct str name, size_t n, struct str *ret,
		  struct err *err)
{
	const struct policy_request *req = values->req;

	*ret = STR_NONE;
	if (location == PUB_PATH) {
		*ret = nth_pair(req->path_params, req->n_path_params, name, false, n);
		return 0;
	}
	if (location == PUB_HEADER) {
		*ret = nth_pair(req->headers, req->n_headers, name, true, n);
		return 0;
	}
	int rc = policy__query(values, err);

	for (size_t i = 0; !rc && i < values->n_query; i++) {
		if (str_eq(values->query[i].name, name) && n-- == 0) {
			*ret = values->query[i].value;
			break;
		}
	}
	return rc;
}

/* A decimal number taken apart; integer and fraction without superfluous zeros. */
struct decimal {
	bool negative;
	struct str integer, fraction;
};

static bool digits(struct str s)
{
	for (size_t i = 0; i < s.n; i++) {
		if (s.p[i] < '0' || s.p[i] > '9')
			return false;
	}
	return s.n > 0;
}

static bool decimal_parse(struct str s, struct decimal *ret)
{
	struct decimal d = {false, s, STR("")};

	if (s.n && s.p[0] == '-') {
		d.negative = true;
		d.integer = str_sub(s, 1, s.n);
	}
	size_t dot = str_find(d.integer, '.', 0);

	if (dot < d.integer.n) {
		d.fraction = str_sub(d.integer, dot + 1, d.integer.n);
		d.integer = str_sub(d.integer, 0, dot);
		if (!digits(d.fraction))
			return false;
	}
	if (!digits(d.integer))
		return false;
	while (d.integer.n && d.integer.p[0] == '0')
		d.integer = str_sub(d.integer, 1, d.integer.n);
	while (d.fraction.n && d.fraction.p[d.fraction.n - 1] == '0')
		d.fraction.n--;
	if (!d.integer.n && !d.fraction.n)
		d.negative = false;
	*ret = d;
	return true;
}

/* Exact, whatever the number of digits. */
static int decimal_cmp(const struct decimal *a, const struct decimal *b)
{
	int order;

	if (a->negative != b->negative)
		return a->negative ? -1 : 1;
	if (a->integer.n != b->integer.n)
		order = a->integer.n < b->integer.n ? -1 : 1;
	else
		order = str_cmp(a->integer, b->integer);
	if (!order)
		order = str_cmp(a->fraction, b->fraction);
	return a->negative ? -order : order;
}

static int check_number(const struct pub_param *param, struct str value, struct err *err)
{
	struct decimal number, bound;

	if (!decimal_parse(value, &number))
		return policy__refuse(err, "the parameter %.*s is not a number", STR_FMT(param->name));
	if (param->has_min && decimal_parse(param->min, &bound) && decimal_cmp(&number, &bound) < 0)
		return policy__refuse(err, "the parameter %.*s is less than %.*s", STR_FMT(param->name),
				      STR_FMT(param->min));
	if (param->has_max && decimal_parse(param->max, &bound) && decimal_cmp(&number, &bound) > 0)
		return policy__refuse(err, "the parameter %.*s is greater than %.*s", STR_FMT(param->name),
				      STR_FMT(param->max));
	return 0;
}

static int check_length(const struct pub_param *param, struct str value, struct err *err)
{
	int64_t n = (int64_t)(enc_utf8_valid(value) ? enc_utf8_len(value) : value.n);

	if (param->min_len > 0 && n < param->min_len)
		return policy__refuse(err, "the parameter %.*s is shorter than %lld", STR_FMT(param->name),
				      (long long)param->min_len);
	if (param->max_len > 0 && n > param->max_len)
		return policy__refuse(err, "the parameter %.*s is longer than %lld", STR_FMT(param->name),
				      (long long)param->max_len);
	return 0;
}

static bool in_enum(struct str enums, struct str value)
{
	struct str rest = enums;

	while (rest.p) {
		if (str_eq(str_trim(str_cut(&rest, ',')), value))
			return true;
	}
	return false;
}

static int check_value(struct policy_regexps *regexps, const struct pub_param *param, struct str value, struct err *err)
{
	int rc = param->number ? check_number(param, value, err) : check_length(param, value, err);

	if (rc)
		return rc;
	if (param->enums.n && !in_enum(param->enums, value))
		return policy__refuse(err, "the parameter %.*s is none of %.*s", STR_FMT(param->name),
				      STR_FMT(param->enums));
	if (!param->regexp.n)
		return 0;
	int match = policy_regexp_match(regexps, param->regexp, value);

	if (match < 0)
		return err_set_text(
			err, ERR_APIG_0606, "%s",
			"Failed to load the API configurations: a parameter has an invalid regular expression");
	if (!match)
		return policy__refuse(err, "the parameter %.*s does not match its regular expression",
				      STR_FMT(param->name));
	return 0;
}

static const char *location_name(enum pub_location location)
{
	return location == PUB_PATH ? "path" : location == PUB_QUERY ? "query" : "header";
}

int policy_params_check(struct arena *a, struct policy_regexps *regexps, const struct pub_api *api,
			const struct policy_request *req, struct err *err)
{
	struct policy__values values = {.arena = a, .req = req};

	for (size_t i = 0; i < api->n_params; i++) {
		const struct pub_param *param = &api->params[i];
		struct str value;

		for (size_t n = 0;; n++) {
			int rc = policy__value(&values, param->location, param->name, n, &value, err);

			if (rc)
				return rc;
			if (!value.p && n == 0 && param->required)
				return policy__refuse(err, "the %s parameter %.*s is missing",
						      location_name(param->location), STR_FMT(param->name));
			if (!value.p)
				break;
			if (param->validate)
				rc = check_value(regexps, param, value, err);
			if (rc)
				return rc;
		}
	}
	return 0;
}
