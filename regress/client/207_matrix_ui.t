#!/usr/bin/perl
# SPDX-License-Identifier: Apache-2.0
# The client matrix: a user interface.
use strict;
use warnings;
use Matrix;

Matrix::test('kaskade');
