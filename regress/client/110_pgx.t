#!/usr/bin/perl
# SPDX-License-Identifier: Apache-2.0
# pgx: see 110_pgx.go.
use strict;
use warnings;
use Clients;

Clients::tap(Clients::go('110_pgx.go', ['github.com/jackc/pgx/v5 v5.7.6'], ['github.com/jackc/pgx/v5 v5.5.5']));
