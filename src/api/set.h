/* SPDX-License-Identifier: Apache-2.0 */
#ifndef API_SET_H
#define API_SET_H

/* Sets a number or a truth value of a reply, which without it would be absent. */
#define SET(s, f, v) ((s)->f = (v), (s)->has_##f = true)

#endif
