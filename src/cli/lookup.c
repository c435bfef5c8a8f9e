/* SPDX-License-Identifier: Apache-2.0 */
#include "cli/lookup.h"

bool cli_lookup_names(const struct api_op *op, struct str *ret_resource, struct str *ret_verb)
{
	struct str rest = str_of(op->command);

	if (!rest.n)
		return false;
	*ret_resource = str_cut(&rest, ' ');
	*ret_verb = rest;
	return true;
}

bool cli_lookup_is(struct str resource, struct str word)
{
	if (str_eq(resource, word))
		return true;
	if (resource.n > 3 && str_eq(str_sub(resource, resource.n - 3, resource.n), STR("ies")))
		return word.n == resource.n - 2 && str_starts(resource, str_sub(word, 0, word.n - 1)) &&
		       word.p[word.n - 1] == 'y';
	return resource.n && resource.p[resource.n - 1] == 's' && str_eq(str_sub(resource, 0, resource.n - 1), word);
}

const struct api_op *cli_lookup(struct str resource, struct str verb)
{
	struct str r, v;

	for (size_t i = 0; i < api_tables.n_ops; i++)
		if (cli_lookup_names(&api_tables.ops[i], &r, &v) && cli_lookup_is(r, resource) && str_eq(v, verb))
			return &api_tables.ops[i];
	return NULL;
}
