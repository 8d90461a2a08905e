# SPDX-License-Identifier: Apache-2.0
#
# Programs of other languages that talk to a server of their own and print TAP.
# What they need is installed below the build folder by their own package
# managers; where that cannot be done the test is skipped with the reason.
package Clients;
use strict;
use warnings;
use Cwd qw(abs_path);
use Fcntl qw(LOCK_EX);
use File::Copy qw(copy);
use File::Path qw(make_path);
use Oxbow;

sub skip {
    my ($why) = @_;
    print "1..0 # SKIP $why\n";
    exit 0;
}

# From here on servers have failpoints: this build's, or that of build-fault, which
# ./check --all makes.
sub failpoints {
    ($Oxbow::BUILD) = grep { Oxbow::has_failpoints($_) } $Oxbow::BUILD, "$Oxbow::TOP/build-fault"
        or skip('no build with --enable-fault');
    $ENV{OX_BUILD} = $Oxbow::BUILD;
}

# A file of regress/client/.
sub file { return abs_path("$Oxbow::TOP/regress/client/$_[0]") }

# A folder of this test's own that stays for the next run.
sub cache {
    my ($name) = @_;
    my $folder = Oxbow::tmp() . "/cache/$name";
    make_path($folder);
    return abs_path($folder);
}

sub quietly { return system("timeout 300 @_ >/dev/null 2>&1") == 0 }

# The words that start Python with modules that Debian packages, or, with a
# second list, that pip installs.
sub python {
    my ($modules, @packages) = @_;
    my $python = '/usr/bin/python3';
    my $folder = @packages ? cache("python-$packages[0]") : '';
    my @words = ('env', "PYTHONPATH=$folder", 'PGTZ=UTC', $python);
    my $import = "@words -c 'import " . join(', ', @$modules) . "'";
    return @words if quietly($import);
    skip("no Python module @$modules") unless @packages;
    quietly("$python -m pip install -q --target $folder @packages") && quietly($import)
        or skip("pip does not install @packages");
    return @words;
}

# The words that run a program of regress/client/ with packages of npm.
sub node {
    my ($program, @packages) = @_;
    Oxbow::have($_) or skip("no $_") for qw(node npm);
    (my $name = $packages[0]) =~ s/\W/-/g;
    my $folder = cache("node-$name");
    unless (-e "$folder/installed") {
        quietly("npm install --silent --no-audit --no-fund --fetch-retry-mintimeout 1000 --fetch-retry-maxtimeout 5000 --prefix $folder @packages")
            or skip("npm does not install @packages");
        open my $mark, '>', "$folder/installed" or die;
    }
    return ('env', "NODE_PATH=$folder/node_modules", 'TZ=UTC', 'node', file($program));
}

# Builds a Go program of regress/client/ and returns the words that run it.
# Modules are "path version"; old: those for compilers before 1.23.
sub go {
    my ($program, $modules, $old) = @_;
    Oxbow::have('go') or skip('no go');
    my ($minor) = `go version` =~ /go1\.(\d+)/ or skip('no go');
    $modules = $old if $minor < 23;
    (my $name = $program) =~ s/\.go$//;
    my $folder = cache("go-$name");
    copy(file($program), "$folder/main.go") or die "$program: $!";
    open my $mod, '>', "$folder/go.mod" or die;
    print $mod "module $name\n\ngo 1.$minor\n\nrequire (\n", (map { "\t$_\n" } @$modules), ")\n";
    close $mod;
    my $env = 'env GOFLAGS=-mod=mod GOTOOLCHAIN=local';
    quietly("sh -c 'cd $folder && $env go mod tidy && $env go build -o $name .'")
        or skip("go does not build $program");
    return ("$folder/$name");
}

sub dependency {
    my ($group, $artifact, $release) = split /:/, $_[0];
    return "<dependency><groupId>$group</groupId><artifactId>$artifact</artifactId>"
        . "<version>$release</version></dependency>";
}

# The class path of Maven's GROUP:ARTIFACT:VERSION, or undef where it cannot
# be had. What it needs of those named behind it, it gets in their versions.
sub jars {
    my ($coordinates, @pinned) = @_;
    my (undef, $artifact, $release) = split /:/, $coordinates;
    my $folder = Oxbow::tmp() . "/$artifact-$release";
    my $list = "$folder/classpath";
    unless (-s $list) {
        return undef unless Oxbow::have('java') && Oxbow::have('mvn');
        make_path($folder);
        open my $lock, '>', "$folder/lock" or die "$folder/lock: $!"; # other tests ask, too
        flock $lock, LOCK_EX or die "$folder/lock: $!";
        open my $pom, '>', "$folder/pom.xml" or die "$folder/pom.xml: $!";
        print $pom '<project><modelVersion>4.0.0</modelVersion>',
            '<groupId>local</groupId><artifactId>local</artifactId><version>1</version>',
            '<dependencyManagement><dependencies>', (map { dependency($_) } @pinned),
            '</dependencies></dependencyManagement>',
            '<dependencies>', dependency($coordinates), "</dependencies></project>\n";
        close $pom;
        my $goal = 'org.apache.maven.plugins:maven-dependency-plugin:3.6.1:build-classpath';
        -s $list || quietly("mvn -q -B -f $folder/pom.xml $goal -Dmdep.outputFile=classpath.new")
            && rename "$folder/classpath.new", $list or return undef;
    }
    open my $in, '<', $list or return undef;
    my $path = <$in>;
    chomp $path;
    return $path;
}

# Compiles a Java program of regress/client/ and returns the words that run it.
sub java {
    my ($program, $path) = @_;
    Oxbow::have($_) or skip("no $_") for qw(javac java);
    (my $class = $program) =~ s/\.java$//;
    my $folder = cache("java-$class");
    system('javac', '-cp', $path, '-d', $folder, file($program)) == 0 or die "$program";
    return ('java', '-Xmx256m', '-XX:TieredStopAtLevel=1', '-Duser.timezone=UTC', '-cp',
        "$folder:$path", $class);
}

# Starts a server, runs a program that prints TAP (the environment names both
# doors: PGHOST, PGPORT, OX_KAFKA, OX_HTTP) and ends with its verdict.
sub tap {
    my (@words) = @_;
    my $ox = Oxbow->start or die 'no server';
    my ($status, $out) = $ox->command('', 'timeout', $ENV{OX_CLIENT_TIMEOUT} // 150, @words);
    print $out;
    print STDERR "# the client ended with $status\n" if $status;
    my $ended = $ox->stop;
    print STDERR "# the server ended with $ended\n" if $ended;
    exit($status || $ended ? 1 : 0);
}

1;
