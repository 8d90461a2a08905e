# SPDX-License-Identifier: Apache-2.0
"""Settings of librdkafka's clients for the connection that is tried."""
import time

from scenario import CA, CERT, KEY, MECHANISM, PASSWORD, PROTOCOL, SERVER, USER, token


def settings(**more):
    made = {"bootstrap.servers": SERVER, "security.protocol": PROTOCOL}
    if "SSL" in PROTOCOL:
        made["ssl.ca.location"] = CA
    if CERT:
        made.update({"ssl.certificate.location": CERT, "ssl.key.location": KEY})
    if MECHANISM == "OAUTHBEARER":
        made.update({"sasl.mechanism": MECHANISM, "oauth_cb": lambda _: (token(), time.time() + 3600)})
    elif MECHANISM:
        made.update({"sasl.mechanism": MECHANISM, "sasl.username": USER, "sasl.password": PASSWORD})
    made.update({name.replace("_", "."): value for name, value in more.items()})
    return made
