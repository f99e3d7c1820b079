"""A collector on Python's http.server that reads metrics with opentelemetry-proto.

Usage: otlp_receiver.py take | refuse | reject | lie
Prints its port, then for each push a line of JSON: path, headers and the request in protobuf's JSON form.
`take` answers as OTLP says; `refuse` answers 400 with a status; `reject` takes all but 3 points; `lie` answers 200
with a page.
"""

import json
import sys
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

from google.protobuf.json_format import MessageToDict
from opentelemetry.proto.collector.metrics.v1.metrics_service_pb2 import (
    ExportMetricsServiceRequest,
    ExportMetricsServiceResponse,
)

MODE = sys.argv[1]


class Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"

    def do_POST(self):
        request = ExportMetricsServiceRequest()
        request.ParseFromString(self.rfile.read(int(self.headers["Content-Length"])))
        told = {
            "path": self.path,
            "type": self.headers["Content-Type"],
            "authorization": self.headers["Authorization"],
            "request": MessageToDict(request),
        }
        print(json.dumps(told), flush=True)
        status, kind, answer = 200, "application/x-protobuf", ExportMetricsServiceResponse()
        if MODE == "reject":
            answer.partial_success.rejected_data_points = 3
            answer.partial_success.error_message = "too old"
        body = answer.SerializeToString()
        if MODE == "refuse":
            status, kind, body = 400, "text/plain", b"no tenant " + self.headers["Authorization"].encode()
        elif MODE == "lie":
            kind, body = "text/html", b"<html>Please log in</html>"
        self.send_response(status)
        self.send_header("Content-Type", kind)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *_):
        pass


server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
server.daemon_threads = True
print(server.server_address[1], flush=True)
server.serve_forever()
