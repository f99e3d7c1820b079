"""A server on Python's http.server that answers a POST with what it understood of it.

Usage: http_server.py keep-alive | announced-close | silent-close [certificates key [version [authority]]]
The answer is {"connection": nth, "path": …, "type": …, "body": …, "peer": …}; status 201.
With a certificate it speaks TLS, in that version ("1.2" or "1.3") only. With an authority it lets in
only clients with a certificate of it, and names their common name.
Prints its port on stdout once it listens.
"""

import itertools
import json
import ssl
import sys
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

MODE = sys.argv[1]
CONNECTIONS = itertools.count(1)


def peer_name(connection):
    certificate = isinstance(connection, ssl.SSLSocket) and connection.getpeercert()
    if not certificate:
        return None
    return dict(field for part in certificate["subject"] for field in part)["commonName"]


class Server(ThreadingHTTPServer):
    def handle_error(self, *_):
        """A client that fails its handshake is the client's business."""


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
                "peer": peer_name(self.connection),
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


server = Server(("127.0.0.1", 0), Handler)
if len(sys.argv) > 2:
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(sys.argv[2], sys.argv[3])
    if len(sys.argv) > 4:
        version = ssl.TLSVersion["TLSv" + sys.argv[4].replace(".", "_")]
        context.minimum_version = context.maximum_version = version
    if len(sys.argv) > 5:
        context.verify_mode = ssl.CERT_REQUIRED
        context.load_verify_locations(sys.argv[5])
    # The handshake is left to the thread that reads first.
    server.socket = context.wrap_socket(
        server.socket, server_side=True, do_handshake_on_connect=False
    )
print(server.server_address[1], flush=True)
server.serve_forever()
