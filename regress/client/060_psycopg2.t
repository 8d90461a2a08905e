#!/usr/bin/perl
# SPDX-License-Identifier: Apache-2.0
# psycopg2: see 060_psycopg2.py.
use strict;
use warnings;
use Clients;

Clients::tap(Clients::python(['psycopg2']), Clients::file('060_psycopg2.py'));
