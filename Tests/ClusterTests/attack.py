"""What strangers do to a listener, against an edge of a real process: requests on which two readers could
differ, endless heads and chunks, bombs of ranges, floods, connections half open and torn. The edge answers
others all the while; when it is over, its descriptors and memory come back.

usage: attack.py CLUSTER      a cluster's directory
"""

import datetime
import hashlib
import hmac
import os
import resource
import socket
import ssl
import struct
import sys
import time
import urllib.parse

sys.path.insert(0, os.path.join(os.path.dirname(os.path.realpath(__file__)), "..", "..", "ops"))
import processes  # noqa: E402

directory = sys.argv[1]
edge = urllib.parse.urlsplit(os.environ["HOLDFAST_EDGES"].split(",")[0])
address, secure_address = (edge.hostname, edge.port), (edge.hostname, edge.port + 400)
host = f"{edge.hostname}:{edge.port}"
node = processes.nodes_of(directory)[1]
PATIENCE = 60  # Seconds for what must happen some time: no verdict hangs on the machine's speed.
HEAD_LIMIT = 1 << 20  # Far above what an edge may take of a head.


def connect(to=address):
    return socket.create_connection(to, timeout=PATIENCE)


def read_to_end(stream):
    got = b""
    try:
        while piece := stream.recv(1 << 16):
            got += piece
    except ConnectionError:
        pass
    return got


def presigned(method, path, **query):
    """Signature Version 4 in a URL's query."""
    now = datetime.datetime.now(datetime.timezone.utc).strftime("%Y%m%dT%H%M%SZ")
    scope = f"{now[:8]}/holdfast-1/s3/aws4_request"
    query |= {"X-Amz-Algorithm": "AWS4-HMAC-SHA256", "X-Amz-Date": now, "X-Amz-Expires": "600",
              "X-Amz-Credential": f"{os.environ['HOLDFAST_KEY']}/{scope}", "X-Amz-SignedHeaders": "host"}
    text = "&".join(f"{name}={urllib.parse.quote(query[name], safe='-_.~')}" for name in sorted(query))
    canonical = f"{method}\n{path}\n{text}\nhost:{host}\n\nhost\nUNSIGNED-PAYLOAD"
    key = b"AWS4" + os.environ["HOLDFAST_SECRET"].encode()
    for word in scope.split("/"):
        key = hmac.digest(key, word.encode(), "sha256")
    digest = hashlib.sha256(canonical.encode()).hexdigest()
    signature = hmac.digest(key, f"AWS4-HMAC-SHA256\n{now}\n{scope}\n{digest}".encode(), "sha256").hex()
    return f"{path}?{text}&X-Amz-Signature={signature}"


def request(method, target, *fields, body=b""):
    lines = [f"{method} {target} HTTP/1.1", f"Host: {host}", *fields]
    return ("\r\n".join(lines) + "\r\n\r\n").encode() + body


def answer(method, target, *fields, body=b""):
    with connect() as stream:
        stream.sendall(request(method, target, "Connection: close", *fields, body=body))
        return read_to_end(stream)


def still_serves():
    got = answer("GET", presigned("GET", "/attacked/object"))
    assert got.startswith(b"HTTP/1.1 200 ") and got.endswith(content), got[:300]


def sends_until_cut(head, endless, limit):
    """How much of an endless message is taken before the edge ends the connection."""
    sent = 0
    with connect() as stream:
        try:
            stream.sendall(head)
            while sent < limit:
                stream.sendall(endless)
                sent += len(endless)
        except ConnectionError:
            pass
        got = b"" if sent >= limit else read_to_end(stream)
    assert sent < limit, f"{sent} bytes were taken behind {head[:60]}"
    return got


content = bytes(range(256)) * 4096
assert answer("PUT", presigned("PUT", "/attacked")).startswith(b"HTTP/1.1 200 ")
assert answer("PUT", presigned("PUT", "/attacked/object"), f"Content-Length: {len(content)}",
              body=content).startswith(b"HTTP/1.1 200 ")
still_serves()
descriptors = len(os.listdir(f"/proc/{node}/fd"))
memory = processes.memory_of(node)[2]

# Two readers could differ on where these end: one answer, and the request behind is never read.
hidden = request("GET", presigned("GET", "/attacked/object"))
for fields, body in [
        (["Content-Length: 5", "Transfer-Encoding: chunked"], b"0\r\n\r\n"),
        (["Content-Length: 5", "Content-Length: 6"], b"hello"),
        (["Content-Length: 5, 6"], b"hello"), (["Content-Length: +5"], b"hello"),
        (["Transfer-Encoding: xchunked"], b"0\r\n\r\n"), (["Transfer-Encoding : chunked"], b"0\r\n\r\n"),
        (["X: y", " Content-Length: 5"], b"hello"), (["X: a\rContent-Length: 5"], b"hello"),
        (["X: a\nContent-Length: 5"], b"hello"), (["X: a\0b"], b"")]:
    with connect() as stream:
        stream.sendall(request("POST", "/attacked/object", *fields, body=body) + hidden)
        got = read_to_end(stream)
    assert got[:13] in (b"HTTP/1.1 400 ", b"HTTP/1.1 501 ") and got.count(b"HTTP/1.1 ") == 1, (fields, got[:300])

# Heads and chunks without an end.
assert b" 431 " in sends_until_cut(b"GET / HTTP/1.1\r\nX: ", b"a" * 4096, 64 * HEAD_LIMIT)[:20]
sends_until_cut(b"GET / HTTP/1.1\r\n", b"X: y\r\n" * 512, 64 * HEAD_LIMIT)
sends_until_cut(b"GET /" + b"a" * 4096, b"a" * 4096, 64 * HEAD_LIMIT)
put = request("PUT", presigned("PUT", "/attacked/bomb"), "Transfer-Encoding: chunked")
sends_until_cut(put, b"0" * 4096, 64 * HEAD_LIMIT)
sends_until_cut(put + b"1;", b"x" * 4096, 64 * HEAD_LIMIT)
sends_until_cut(put + b"0\r\n", b"X: y\r\n" * 512, 64 * HEAD_LIMIT)
assert b"NoSuchKey" in answer("GET", presigned("GET", "/attacked/bomb"))

# Ranges beyond counting give the whole at most.
for ranges in [",".join(f"{at}-{at}" for at in range(0, 900, 2)), ",".join(["0-"] * 900)]:
    got = answer("GET", presigned("GET", "/attacked/object"), f"Range: bytes={ranges}")
    assert len(got) < len(content) + 4096, len(got)

# A client that has said all it will say is answered; one that breaks off is forgotten.
with connect() as stream:
    stream.sendall(hidden)
    stream.shutdown(socket.SHUT_WR)
    assert read_to_end(stream).endswith(content)
reset = struct.pack("ii", 1, 0)
for piece in [b"", b"GET / HT", put, put + b"fffff\r\nabc", hidden]:
    for _ in range(20):
        with connect() as stream:
            stream.sendall(piece)
            stream.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, reset)
for garbage in [b"", b"GET / HTTP/1.1\r\n\r\n", b"\x16\x03\x01\xff\xff" + bytes(4096), os.urandom(600)]:
    for _ in range(10):
        with connect(secure_address) as stream:
            try:
                stream.sendall(garbage)
            except ConnectionError:
                pass
refused = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
refused.check_hostname, refused.verify_mode = False, ssl.CERT_NONE
refused.maximum_version = ssl.TLSVersion.TLSv1_2
try:
    refused.wrap_socket(connect(secure_address))
    raise AssertionError("TLS 1.2 was taken")
except (ssl.SSLError, ConnectionError):
    pass

# A flood of half heads: others are served beside it, and it costs little for each.
soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
count = min(1_000, hard - 100)
resource.setrlimit(resource.RLIMIT_NOFILE, (max(soft, min(hard, 2_000)), hard))
flood = []
for _ in range(count):
    flood.append(connect())
    flood[-1].sendall(b"GET /attacked/object HTTP/1.1\r\nX: y")
still_serves()
grown = processes.memory_of(node)[2] - memory
assert grown < 96 << 20, f"{count} half heads hold {grown >> 20} MiB"
for stream in flood:
    stream.close()

# All of it comes back. The slack is for connections that nodes open to one another meanwhile.
deadline = time.monotonic() + PATIENCE
while (left := len(os.listdir(f"/proc/{node}/fd"))) > descriptors + 16:
    assert time.monotonic() < deadline, f"{left} descriptors are open, of {descriptors} before"
    time.sleep(0.05)
still_serves()
assert processes.nodes_of(directory)[1] == node, "the node ended"
grown = processes.memory_of(node)[2] - memory
assert grown < 64 << 20, f"{grown >> 20} MiB did not come back"
print("the edge has stood it")
