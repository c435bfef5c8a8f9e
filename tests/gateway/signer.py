# SPDX-License-Identifier: Apache-2.0
"""SDK-HMAC-SHA256 as the API signing guide describes it, written without a look at the code under test."""
import hashlib
import hmac
import time
from urllib.parse import quote, unquote


def date(at=None):
    return time.strftime('%Y%m%dT%H%M%SZ', time.gmtime(at))


def sign(method, target, headers, body, key, secret, at=None):
    """Returns headers plus X-Sdk-Date and Authorization."""
    path, _, query = target.partition('?')
    headers = dict(headers)
    headers.setdefault('X-Sdk-Date', date(at))
    lower = {k.lower(): v.strip() for k, v in headers.items()}
    signed = sorted(lower)
    uri = '/'.join(quote(unquote(s), safe='-_.~') for s in path.split('/'))
    if not uri.endswith('/'):
        uri += '/'
    pairs = sorted((unquote(n.replace('+', ' ')), unquote(v.replace('+', ' ')))
                   for n, _, v in (p.partition('=') for p in query.split('&') if p))
    canonical_query = '&'.join(quote(n, safe='-_.~') + '=' + quote(v, safe='-_.~') for n, v in pairs)
    payload = lower.get('x-sdk-content-sha256') or hashlib.sha256(body).hexdigest()
    canonical = '\n'.join([method.upper(), uri, canonical_query, ''.join(f'{h}:{lower[h]}\n' for h in signed),
                           ';'.join(signed), payload])
    to_sign = '\n'.join(['SDK-HMAC-SHA256', headers['X-Sdk-Date'], hashlib.sha256(canonical.encode()).hexdigest()])
    signature = hmac.new(secret.encode(), to_sign.encode(), hashlib.sha256).hexdigest()
    headers['Authorization'] = f'SDK-HMAC-SHA256 Access={key}, SignedHeaders={";".join(signed)}, Signature={signature}'
    return headers
