#!/usr/bin/perl
# SPDX-License-Identifier: Apache-2.0
# SQLAlchemy: see 120_sqlalchemy.py.
use strict;
use warnings;
use Clients;

Clients::tap(Clients::python(['sqlalchemy', 'psycopg2', 'psycopg'], 'sqlalchemy==2.0.43'),
    Clients::file('120_sqlalchemy.py'));
