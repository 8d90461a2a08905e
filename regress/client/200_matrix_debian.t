#!/usr/bin/perl
# SPDX-License-Identifier: Apache-2.0
# The client matrix: what Debian packages. See matrix/README.md.
use strict;
use warnings;
use Matrix;

Matrix::test('kcat (Debian)=tls', 'kafka-python (Debian)=plain,scram-sha-256',
    'confluent-kafka (Debian)=plaintext,scram-sha-512');
