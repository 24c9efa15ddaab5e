#!/bin/sh
# Generates the messages from protos/ of the checkout, compiles the client beside them, and runs it:
# sh examples/java/run.sh HOST:PORT [PREFIX] [USER]
set -eu
here=$(cd "$(dirname "$0")" && pwd)
build=$here/build
libraries= # of Debian's packages: see README.md
for jar in /usr/share/java/grpc-*.jar /usr/share/java/netty*.jar /usr/share/java/protobuf.jar /usr/share/java/guava.jar \
    /usr/share/java/failureaccess.jar /usr/share/java/gson.jar /usr/share/java/perfmark-api.jar \
    /usr/share/java/geronimo-annotation-1.3-spec.jar; do
    libraries=$libraries:$jar
done
if [ ! -e "$build/classes/Client.class" ]; then
    mkdir -p "$build/sources" "$build/classes"
    cd "$here/../../protos"
    find shopfuse buf google -name '*.proto' -exec protoc -I. -I/usr/include --java_out="$build/sources" \
        --plugin=protoc-gen-grpc-java=/usr/bin/grpc_java_plugin --grpc-java_out="$build/sources" {} +
    find "$build/sources" "$here/Client.java" -name '*.java' -exec javac -nowarn -cp "$libraries" -d "$build/classes" {} +
fi
exec java -cp "$build/classes:$libraries" Client "$@"
