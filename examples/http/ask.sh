#!/bin/sh
# Asks a served shop over HTTP, with nothing but curl: sh examples/http/ask.sh http://127.0.0.1:8080 boots
# With tokens: TOKEN=... sh examples/http/ask.sh https://search.shop.example boots
set -eu
edge=$1
words=$2
ask() {
    curl --silent --show-error --fail-with-body --max-time 5 ${TOKEN:+--header "Authorization: Bearer $TOKEN"} "$@"
    echo
}

# A search: the request is SearchRequest as JSON, the answer SearchResponse; protos/openapi.json describes both.
ask --json "{\"query\": \"$words\", \"page_size\": 3, \"explain\": true}" "$edge/v1/search"

# The same by GET: fields are parameters of the URL, those of messages by dotted names.
ask --get --data-urlencode "query=$words" --data page_size=3 --data filter.max_price=100 "$edge/v1/search"

# What to show somebody of whom nothing is known.
ask --json '{"page_size": 3, "context": {"device": "DEVICE_MOBILE"}}' "$edge/v1/recommend"
