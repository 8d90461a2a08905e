#!/usr/bin/perl
# SPDX-License-Identifier: Apache-2.0
# The client matrix: user interfaces, a monitor, a command-line tool of others.
use strict;
use warnings;
use Matrix;

Matrix::test('kaskade', 'kafkatop', 'kafka-console');
