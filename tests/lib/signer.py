# SPDX-License-Identifier: Apache-2.0
"""SDK-HMAC-SHA256 request signatures, written from the vendor's signing guide alone, apart from src/sign."""
import datetime
import hashlib
import hmac
from urllib.parse import quote, unquote


def canonical_path(path):
    out = '/'.join(quote(unquote(part), safe='~') for part in path.split('/'))
    return out if out.endswith('/') else out + '/'


def canonical_query(query):
    pairs = [p.partition('=')[::2] for p in query.split('&')] if query else []
    return '&'.join(f'{quote(unquote(k), safe="~")}={quote(unquote(v), safe="~")}' for k, v in sorted(pairs))


def date(when=None):
    return (when or datetime.datetime.utcnow()).strftime('%Y%m%dT%H%M%SZ')


def sign(method, path, body, headers, access, secret):
    """headers: those to sign, with Host and X-Sdk-Date. Returns them with Authorization."""
    path, _, query = path.partition('?')
    signed = sorted(k.lower() for k in headers)
    lower = {k.lower(): v.strip() for k, v in headers.items()}
    request = '\n'.join([method, canonical_path(path), canonical_query(query),
                         ''.join(f'{k}:{lower[k]}\n' for k in signed), ';'.join(signed),
                         hashlib.sha256(body or b'').hexdigest()])
    text = '\n'.join(['SDK-HMAC-SHA256', lower['x-sdk-date'], hashlib.sha256(request.encode()).hexdigest()])
    signature = hmac.new(secret.encode(), text.encode(), hashlib.sha256).hexdigest()
    return {**headers, 'Authorization':
            f'SDK-HMAC-SHA256 Access={access}, SignedHeaders={";".join(signed)}, Signature={signature}'}
