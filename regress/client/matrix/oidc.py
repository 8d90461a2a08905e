# SPDX-License-Identifier: Apache-2.0
# librdkafka's own OIDC: writes two records, waits, writes another, reads the three.
#   oidc.py BOOTSTRAP ENDPOINT CLIENT_ID SECRET SECONDS
import sys
import time

from confluent_kafka import Consumer, Producer

bootstrap, endpoint, client_id, secret, seconds = sys.argv[1:]
common = {
    'bootstrap.servers': bootstrap, 'security.protocol': 'SASL_PLAINTEXT',
    'sasl.mechanism': 'OAUTHBEARER', 'sasl.oauthbearer.method': 'oidc',
    'sasl.oauthbearer.client.id': client_id, 'sasl.oauthbearer.client.secret': secret,
    'sasl.oauthbearer.token.endpoint.url': endpoint, 'sasl.oauthbearer.scope': 'streams',
    'error_cb': lambda error: print('error', error, flush=True),
}
topic = 'oidc-' + client_id
producer = Producer({**common, 'message.timeout.ms': 10000})


def write(word):
    failed = []
    producer.produce(topic, word, on_delivery=lambda error, _: failed.append(error))
    producer.flush(30)
    print('wrote', word, 'yes' if failed == [None] else 'no', flush=True)
    if failed != [None]:
        sys.exit(1)


write('one')
write('two')
if seconds != '0':
    end = time.time() + float(seconds)
    while time.time() < end:
        producer.poll(0.5)
    write('three')
consumer = Consumer({**common, 'group.id': client_id, 'auto.offset.reset': 'earliest'})
consumer.subscribe([topic])
end = time.time() + 15
want = 3 if seconds != '0' else 2
while want > 0 and time.time() < end:
    message = consumer.poll(0.5)
    if message is not None and message.error() is None:
        print('read', message.value().decode(), flush=True)
        want -= 1
consumer.close()
