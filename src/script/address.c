/* SPDX-License-Identifier: Apache-2.0 */
#include "script/script_priv.h"

#include <arpa/inet.h>
#include <netinet/in.h>
#include <sys/socket.h>

/* IANA special-purpose registries (RFC 6890): networks that a script on a shared platform must not reach. */
static bool v4_private(uint32_t ip)
{
	static const struct {
		uint32_t net;
		unsigned bits;
	} nets[] = {
		{0x00000000, 8},  {0x0a000000, 8},  {0x64400000, 10}, {0x7f000000, 8},
		{0xa9fe0000, 16}, {0xac100000, 12}, {0xc0000000, 24}, {0xc0a80000, 16},
		{0xc6120000, 15}, {0xe0000000, 4},  {0xf0000000, 4},
	};

	for (size_t i = 0; i < sizeof(nets) / sizeof(nets[0]); i++)
		if ((ip ^ nets[i].net) >> (32 - nets[i].bits) == 0)
			return true;
	return false;
}

static uint32_t be32(const unsigned char *p)
{
	return (uint32_t)p[0] << 24 | (uint32_t)p[1] << 16 | (uint32_t)p[2] << 8 | p[3];
}

/* Also the addresses that stand for an IPv4 one: mapped, compatible, 6to4 (RFC 3056), NAT64 (RFC 6052). */
static bool v6_private(const unsigned char *p)
{
	static const unsigned char zero[12], mapped[12] = {[10] = 0xff, [11] = 0xff};
	static const unsigned char nat64[12] = {0x00, 0x64, 0xff, 0x9b};

	if (memcmp(p, zero, 12) == 0 || memcmp(p, mapped, 12) == 0 || memcmp(p, nat64, 12) == 0)
		return v4_private(be32(p + 12));
	if (p[0] == 0x20 && p[1] == 0x02)
		return v4_private(be32(p + 2));
	return (p[0] & 0xe0) != 0x20; /* only 2000::/3 is global unicast */
}

bool script__address_allowed(const struct script_host *host, const struct sockaddr *sa)
{
	if (host->allow_private_networks)
		return sa->sa_family == AF_INET || sa->sa_family == AF_INET6;
	if (sa->sa_family == AF_INET) {
		struct sockaddr_in v4;

		memcpy(&v4, sa, sizeof(v4));
		return !v4_private(ntohl(v4.sin_addr.s_addr));
	}
	if (sa->sa_family == AF_INET6) {
		struct sockaddr_in6 v6;

		memcpy(&v6, sa, sizeof(v6));
		return !v6_private(v6.sin6_addr.s6_addr);
	}
	return false;
}
