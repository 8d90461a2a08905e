# SPDX-License-Identifier: Apache-2.0
#
# Kafka's own programs, from Maven's repository: its command-line tools, and a
# whole broker to compare with.
package KafkaJars;
use strict;
use warnings;
use File::Path qw(make_path);
use Oxbow;

our $RELEASE = $ENV{OX_KAFKA_RELEASE} // '4.3.0';

# The class path of org.apache.kafka:ARTIFACT, or undef where it cannot be had.
sub classpath {
    my ($artifact) = @_;
    my $folder = Oxbow::tmp() . "/$artifact-$RELEASE";
    my $list = "$folder/classpath";
    unless (-s $list) {
        return undef unless Oxbow::have('java') && Oxbow::have('mvn');
        make_path($folder);
        open my $pom, '>', "$folder/pom.xml" or die "$folder/pom.xml: $!";
        print $pom <<"END";
<project><modelVersion>4.0.0</modelVersion>
<groupId>local</groupId><artifactId>local</artifactId><version>1</version>
<dependencies><dependency><groupId>org.apache.kafka</groupId>
<artifactId>$artifact</artifactId><version>$RELEASE</version></dependency></dependencies></project>
END
        close $pom;
        my $goal = 'org.apache.maven.plugins:maven-dependency-plugin:3.6.1:build-classpath';
        system("timeout 300 mvn -q -B -f $folder/pom.xml $goal -Dmdep.outputFile=classpath.new "
                . '>/dev/null 2>&1');
        rename "$folder/classpath.new", $list or return undef;
    }
    open my $in, '<', $list or return undef;
    my $path = <$in>;
    chomp $path;
    return $path;
}

# The words that run a class of the tools.
sub java {
    my ($artifact, $class, @words) = @_;
    return ('timeout', '90', 'java', '-Xmx256m', '-XX:TieredStopAtLevel=1', '-cp',
        classpath($artifact), $class, @words);
}

1;
