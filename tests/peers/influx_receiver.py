"""A server on Python's http.server that takes points as InfluxDB 2 does, read by line-protocol-parser.

Usage: influx_receiver.py take | refuse | lie | stall | hang-up [certificate key]
Prints its port, then for each push a line of JSON: path, authorization and points, as the parser has them.
`take` answers 204; `refuse` answers 401 and says what it was told; `lie` answers 200 with a page; `stall` sends no
more than the first byte of an answer; `hang-up` closes the connection.
"""

import json
import ssl
import sys
import threading
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

from line_protocol_parser import parse_line

MODE = sys.argv[1]
NEVER = threading.Event()


class Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"

    def do_POST(self):
        body = self.rfile.read(int(self.headers["Content-Length"])).decode()
        authorization = self.headers["Authorization"]
        told = {
            "path": self.path,
            "authorization": authorization,
            "points": [parse_line(line) for line in body.splitlines()],
        }
        print(json.dumps(told), flush=True)
        status, answer = 204, b""
        if MODE == "refuse":
            status = 401
            answer = f"{authorization} is nobody:\r\n\x1b[31m{'é' * 40000}".encode()
        elif MODE == "lie":
            status, answer = 200, b"<html>Please log in</html>"
        elif MODE == "stall":
            self.wfile.write(b"H")
            self.wfile.flush()
            NEVER.wait()
        elif MODE == "hang-up":
            self.close_connection = True
            return
        self.send_response(status)
        if status != 204:
            self.send_header("Content-Length", str(len(answer)))
        self.end_headers()
        self.wfile.write(answer)

    def log_message(self, *_):
        pass


server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
server.daemon_threads = True
if len(sys.argv) > 2:
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(*sys.argv[2:4])
    server.socket = context.wrap_socket(server.socket, server_side=True)
print(server.server_address[1], flush=True)
server.serve_forever()
