#!/usr/bin/perl
# SPDX-License-Identifier: Apache-2.0
# The client matrix: Python's newest.
use strict;
use warnings;
use Matrix;

Matrix::test('confluent-kafka', 'kafka-python', 'aiokafka');
