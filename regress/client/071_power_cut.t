#!/usr/bin/perl
# SPDX-License-Identifier: Apache-2.0
# 070_kill9.t with power cuts in place of kills: ten million acknowledged records
# and two hundred cuts; OX_RECORDS and OX_KILLS scale it.
use strict;
use warnings;
$ENV{OX_POWER} = 1;
$ENV{OX_ROUNDS} //= 1;
$ENV{OX_KILLS} //= 200;
$ENV{OX_RECORDS} //= 10_000_000;
exec $^X, map({ "-I$_" } @INC), "$ENV{OX_TOP}/regress/client/070_kill9.t" or die;
