"""Put behind the one file's ssl.py: where the host keeps its certificate authorities.

OpenSSL looks in one place, which was fixed when it was compiled (here: /etc/ssl); distributions have others. SSL_CERT_FILE
and SSL_CERT_DIR win, as everywhere.
"""

import os
from ssl import SSLContext, _SSLContext

_AUTHORITIES = (
    "/etc/ssl/certs/ca-certificates.crt",  # Debian, Ubuntu, Gentoo
    "/etc/pki/tls/certs/ca-bundle.crt",  # Fedora, RHEL 6 to 9
    "/etc/pki/ca-trust/extracted/pem/tls-ca-bundle.pem",  # RHEL 10
    "/etc/ssl/ca-bundle.pem",  # SUSE
    "/etc/ssl/cert.pem",  # Alpine
)


def _set_default_verify_paths(self):
    _SSLContext.set_default_verify_paths(self)
    if "SSL_CERT_FILE" in os.environ or "SSL_CERT_DIR" in os.environ:
        return
    for place in _AUTHORITIES:
        try:
            self.load_verify_locations(place)
            return
        except OSError:  # not here, or not readable
            continue


SSLContext.set_default_verify_paths = _set_default_verify_paths
