# SPDX-License-Identifier: Apache-2.0
"""SDK-HMAC-SHA256 request signatures, written from the vendor's signing guide alone, apart from src/sign."""
import datetime
import hashlib
import hmac
from urllib.parse import quote, unquote

ALGORITHM = 'SDK-HMAC-SHA256'


def escape(text):
    """Percent-encodes all but A-Z a-z 0-9 - _ . ~ of what may be encoded already."""
    return quote(unquote(text), safe='~')


def canonical_path(path):
    out = '/'.join(escape(part) for part in path.split('/'))
    return out if out.endswith('/') else out + '/'


def canonical_query(query):
    """Names, and the values of one name, in order; a name without a value has an empty one."""
    pairs = [p.partition('=')[::2] for p in query.split('&') if p]
    return '&'.join(f'{escape(k)}={escape(v)}' for k, v in sorted((unquote(k), unquote(v)) for k, v in pairs))


def date(when=None):
    """when: seconds since 1970 or a datetime in UTC; None is now."""
    if isinstance(when, (int, float)):
        when = datetime.datetime.fromtimestamp(when, datetime.timezone.utc)
    return (when or datetime.datetime.now(datetime.timezone.utc)).strftime('%Y%m%dT%H%M%SZ')


def canonical_request(method, path, body, headers):
    path, _, query = path.partition('?')
    lower = {k.lower(): v.strip() for k, v in headers.items()}
    signed = sorted(lower)
    payload = lower.get('x-sdk-content-sha256') or hashlib.sha256(body or b'').hexdigest()
    return '\n'.join([method.upper(), canonical_path(path), canonical_query(query),
                      ''.join(f'{k}:{lower[k]}\n' for k in signed), ';'.join(signed), payload])


def sign(method, path, body, headers, access, secret, at=None):
    """headers: those to sign, Host among them; X-Sdk-Date is added. Returns them with Authorization."""
    headers = dict(headers)
    if 'x-sdk-date' not in (k.lower() for k in headers):
        headers['X-Sdk-Date'] = date(at)
    request = canonical_request(method, path, body, headers)
    stamp = next(v for k, v in headers.items() if k.lower() == 'x-sdk-date')
    text = '\n'.join([ALGORITHM, stamp, hashlib.sha256(request.encode()).hexdigest()])
    signature = hmac.new(secret.encode(), text.encode(), hashlib.sha256).hexdigest()
    names = ';'.join(sorted(k.lower() for k in headers))
    return {**headers, 'Authorization': f'{ALGORITHM} Access={access}, SignedHeaders={names}, Signature={signature}'}
