"""A server on Python's http.server that answers a POST with what it understood of it.

Usage: http_server.py keep-alive | announced-close | silent-close
The answer is {"connection": nth, "path": …, "type": …, "body": …}; status 201.
Prints its port on stdout once it listens.
"""

import itertools
import json
import sys
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

MODE = sys.argv[1]
CONNECTIONS = itertools.count(1)


class Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"

    def setup(self):
        super().setup()
        self.connection_number = next(CONNECTIONS)

    def do_POST(self):
        body = self.rfile.read(int(self.headers["Content-Length"])).decode()
        answer = json.dumps(
            {
                "connection": self.connection_number,
                "path": self.path,
                "type": self.headers["Content-Type"],
                "body": body,
            }
        ).encode()
        self.send_response(201)
        self.send_header("Content-Length", str(len(answer)))
        if MODE == "announced-close":
            self.send_header("Connection", "close")
        self.end_headers()
        self.wfile.write(answer)
        if MODE == "silent-close":
            self.close_connection = True

    def log_message(self, *_):
        pass


server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
print(server.server_address[1], flush=True)
server.serve_forever()
