#!/usr/bin/perl
# SPDX-License-Identifier: Apache-2.0
# The client matrix: JavaScript.
use strict;
use warnings;
use Matrix;

Matrix::test('kafkajs', '@platformatic/kafka');
