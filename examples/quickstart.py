"""Asks a served workspace for items: quickstart.py WORKSPACE (`make up` serves the workspace `demo`)."""

import json
import sys
from pathlib import Path

import grpc

from shopfuse.v1.search_pb2 import SearchRequest
from shopfuse.v1.search_pb2_grpc import SearchServiceStub

endpoints = json.loads(Path(sys.argv[1], "run", "endpoints.json").read_text())
with grpc.insecure_channel(endpoints["grpc"]) as channel:
    answer = SearchServiceStub(channel).Search(SearchRequest(query="boots", page_size=5), timeout=1.0)
for item in answer.items:
    print(f"{item.score:.4f}  {item.item_id}  {item.title}")
