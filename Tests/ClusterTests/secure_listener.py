"""An HTTPS listener as a client sees it: TLS 1.3 alone, sessions that are resumed, and a certificate that is
replaced while the node runs.

usage: secure_listener.py CLUSTER      a cluster's directory
"""

import os
import shutil
import socket
import ssl
import sys
import time
import urllib.parse

directory = sys.argv[1]
edge = urllib.parse.urlsplit(os.environ["HOLDFAST_EDGES"].split(",")[0])
PATIENCE = 60  # Seconds for what must happen some time.


def visit(context, session=None):
    """What one request shows of its connection."""
    stream = socket.create_connection((edge.hostname, edge.port + 400), timeout=PATIENCE)
    with context.wrap_socket(stream, server_hostname=edge.hostname, session=session) as secure:
        secure.sendall(b"GET / HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n")
        answer = b""
        while piece := secure.recv(1 << 16):
            answer += piece
        assert answer.startswith(b"HTTP/1.1 403 "), answer
        assert secure.version() == "TLSv1.3", secure.version()
        return secure.getpeercert(binary_form=True), secure.session, secure.session_reused


trusting = ssl.create_default_context(cafile=os.environ["HOLDFAST_CA"])
first, session, is_resumed = visit(trusting)
assert not is_resumed and session.has_ticket
assert visit(trusting, session)[2], "a session was not resumed"

try:
    visit(ssl.create_default_context())
    raise AssertionError("an authority that nobody named was trusted")
except ssl.SSLCertVerificationError:
    pass
old = ssl.create_default_context(cafile=os.environ["HOLDFAST_CA"])
old.maximum_version = ssl.TLSVersion.TLSv1_2
try:
    visit(old)
    raise AssertionError("TLS 1.2 was taken")
except (ssl.SSLError, ConnectionError):
    pass

# Another node's certificate is as good for this address. Of two files one comes first: until both are
# there, the old one stays.
for name in ("door.key", "door.pem"):
    target = f"{directory}/node-1/identity/{name}"
    shutil.copyfile(f"{directory}/node-2/identity/{name}", target + ".new")
    os.replace(target + ".new", target)
deadline = time.monotonic() + PATIENCE
while (seen := visit(trusting))[0] == first:
    assert time.monotonic() < deadline, "the new certificate is not used"
    time.sleep(0.1)
assert not visit(trusting, session)[2], "a session outlived its certificate"
assert visit(trusting, seen[1])[2]
print("the listener is as it should be")
