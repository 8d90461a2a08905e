#!/usr/bin/perl
# SPDX-License-Identifier: Apache-2.0
# node-pg: see 100_node_pg.js.
use strict;
use warnings;
use Clients;

Clients::tap(Clients::node('100_node_pg.js', 'pg@8.16.3', 'pg-cursor@2.15.3', 'pg-copy-streams@7.0.0'));
