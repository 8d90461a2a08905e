#!/usr/bin/perl
# SPDX-License-Identifier: Apache-2.0
# The client matrix: Kafka's own client.
use strict;
use warnings;
use Matrix;

Matrix::test('Java client 4', 'Java client 3');
