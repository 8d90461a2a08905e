#!/usr/bin/perl
# SPDX-License-Identifier: Apache-2.0
# JDBC: see OxbowJdbc.java.
use strict;
use warnings;
use Clients;

my ($debian) = grep { -r } '/usr/share/java/postgresql.jar';
my $jars = Clients::jars('org.postgresql:postgresql:42.7.7') // $debian
    or Clients::skip('no PostgreSQL JDBC driver');
Clients::tap(Clients::java('OxbowJdbc.java', $jars));
