#!/usr/bin/perl
# SPDX-License-Identifier: Apache-2.0
# The client matrix: Go.
use strict;
use warnings;
use Matrix;

Matrix::test('franz-go', 'sarama', 'kafka-go');
