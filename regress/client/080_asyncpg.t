#!/usr/bin/perl
# SPDX-License-Identifier: Apache-2.0
# asyncpg: see 080_asyncpg.py.
use strict;
use warnings;
use Clients;

Clients::tap(Clients::python(['asyncpg']), Clients::file('080_asyncpg.py'));
