#!/usr/bin/perl
# SPDX-License-Identifier: Apache-2.0
# psycopg 3: see 070_psycopg3.py.
use strict;
use warnings;
use Clients;

Clients::tap(Clients::python(['psycopg']), Clients::file('070_psycopg3.py'));
