# SPDX-License-Identifier: Apache-2.0
# One TLS client: shakes hands, asks ApiVersions, prints "served VERSION CIPHER
# SERIAL" of the server's certificate, or "refused" and why.
#   080_tls.py HOST PORT CA [name=value ...]     cert key ca min max alpn pg ciphers
import socket
import ssl
import struct
import sys

host, port, ca = sys.argv[1:4]
given = dict(word.split('=', 1) for word in sys.argv[4:])
versions = {'1.0': ssl.TLSVersion.TLSv1, '1.1': ssl.TLSVersion.TLSv1_1,
            '1.2': ssl.TLSVersion.TLSv1_2, '1.3': ssl.TLSVersion.TLSv1_3}
import warnings
warnings.simplefilter('ignore')
context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
context.load_verify_locations(ca)
if 'cert' in given:
    context.load_cert_chain(given['cert'], given['key'])
if 'ciphers' in given:
    context.set_ciphers(given['ciphers'])
if 'max' in given:
    context.maximum_version = versions[given['max']]
if 'min' in given:
    context.minimum_version = versions[given['min']]
if 'alpn' in given:
    context.set_alpn_protocols([given['alpn']])
try:
    plain = socket.create_connection((host, int(port)), timeout=10)
    if 'pg' in given:
        plain.sendall(struct.pack('>ii', 8, 80877103))
        if plain.recv(1) != b'S':
            raise OSError('no encryption offered')
    sock = context.wrap_socket(plain, server_hostname=host)
    if 'pg' in given:
        print('served', sock.version(), sock.cipher()[0], sock.getpeercert()['serialNumber'])
        sys.exit(0)
    sock.sendall(struct.pack('>ihhih', 10, 18, 0, 7, -1))
    head = b''
    while len(head) < 8:
        piece = sock.recv(8 - len(head))
        if not piece:
            raise OSError('closed')
        head += piece
    assert struct.unpack('>ii', head)[1] == 7
    print('served', sock.version(), sock.cipher()[0], sock.getpeercert()['serialNumber'])
except (OSError, ssl.SSLError) as why:
    print('refused', getattr(why, 'reason', None) or why)
