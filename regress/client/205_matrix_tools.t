#!/usr/bin/perl
# SPDX-License-Identifier: Apache-2.0
# The client matrix: Kafka's command-line tools.
use strict;
use warnings;
use Matrix;

Matrix::test('Java tools 4', 'Java tools 3');
