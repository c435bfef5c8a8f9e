#!/bin/sh
# SPDX-License-Identifier: Apache-2.0
# Compares our codec with Apache Kafka's client library, fetched with Maven: random messages of every API and version,
# and batches both ways. usage: check.sh BUILD_DIR [ROUNDS]   Exit code 77: java or the library is not to be had.
set -eu

test_vectors=$1/tests/unit/kafka/test_kafka_vectors
rounds=${2:-30}
here=$(cd "$(dirname "$0")" && pwd)
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT

command -v java >/dev/null && command -v mvn >/dev/null || exit 77
for version in 3.9.1 4.2.0; do
	mkdir "$work/$version"
	cat >"$work/pom.xml" <<END
<project xmlns="http://maven.apache.org/POM/4.0.0"><modelVersion>4.0.0</modelVersion>
<groupId>x</groupId><artifactId>x</artifactId><version>1</version><dependencies><dependency>
<groupId>org.apache.kafka</groupId><artifactId>kafka-clients</artifactId><version>$version</version>
</dependency></dependencies></project>
END
	mvn -q -B -f "$work/pom.xml" dependency:copy-dependencies -DoutputDirectory="$work/$version" || exit 77
	# 4.x dropped old versions; the early share group messages of 3.9 are other ones, and not ours
	java -cp "$work/$version/*" "$here/Vectors.java" messages "$(date +%s)" "$rounds" 2>/dev/null |
		if [ $version = 3.9.1 ]; then grep -v '^7[6-9] '; else cat; fi >>"$work/messages"
done
java -cp "$work/4.2.0/*" "$here/Vectors.java" batches 2>/dev/null >"$work/batches"
wc -l "$work/messages"
"$test_vectors" "$work/messages" "$work/batches"
"$test_vectors" write 2>"$work/want" | java -cp "$work/4.2.0/*" "$here/Vectors.java" read 2>/dev/null >"$work/got"
cmp "$work/want" "$work/got"
echo "agrees with kafka-clients"
