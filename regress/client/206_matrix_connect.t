#!/usr/bin/perl
# SPDX-License-Identifier: Apache-2.0
# The client matrix: Kafka Connect, standalone and as a cluster.
use strict;
use warnings;
use Matrix;

Matrix::test('Kafka Connect');
