#!/usr/bin/perl
# SPDX-License-Identifier: Apache-2.0
# The client matrix: a schema registry that keeps its schemas in topics.
use strict;
use warnings;
use Matrix;

Matrix::test('Apicurio Registry');
