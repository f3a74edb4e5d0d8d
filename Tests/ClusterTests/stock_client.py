"""What people do with boto3, unchanged, against the edges that the environment names.

usage: stock_client.py DIRECTORY      for files of its own
"""

import filecmp
import hashlib
import os
import random
import sys
import urllib.request

import boto3
from botocore.config import Config
from botocore.exceptions import ClientError

directory = sys.argv[1]
edges = os.environ["HOLDFAST_EDGES"].split(",")
config = Config(s3={"addressing_style": "path"}, retries={"max_attempts": 3})


def client(edge):
    return boto3.client("s3", endpoint_url=edges[edge], config=config)


def refused(code, call, **arguments):
    try:
        call(**arguments)
    except ClientError as error:
        got = error.response["Error"]["Code"], error.response["ResponseMetadata"]["HTTPStatusCode"]
        assert code in got, f"{call.__name__} was refused with {got} instead of {code}"
        return
    raise AssertionError(f"{call.__name__} was not refused with {code}")


s3, other = client(0), client(4)
content = random.Random(1).randbytes(3_000_000)

s3.create_bucket(Bucket="stock")
assert "stock" in [bucket["Name"] for bucket in other.list_buckets()["Buckets"]]
s3.head_bucket(Bucket="stock")

# Objects, their attributes, ranges.
etag = s3.put_object(
    Bucket="stock", Key="a/b c+ü.bin", Body=content, ContentType="image/x-holdfast",
    Metadata={"colour": "green"})["ETag"]
assert etag == f'"{hashlib.md5(content).hexdigest()}"', etag
answer = other.get_object(Bucket="stock", Key="a/b c+ü.bin")
assert answer["Body"].read() == content
assert answer["ContentType"] == "image/x-holdfast" and answer["Metadata"] == {"colour": "green"}
assert answer["ETag"] == etag
part = other.get_object(Bucket="stock", Key="a/b c+ü.bin", Range="bytes=1000000-1000009")
assert part["Body"].read() == content[1_000_000:1_000_010]
assert other.head_object(Bucket="stock", Key="a/b c+ü.bin")["ContentLength"] == len(content)
s3.put_object(Bucket="stock", Key="empty", Body=b"")
assert other.get_object(Bucket="stock", Key="empty")["Body"].read() == b""

# Files, as the transfer manager moves them.
source, target = os.path.join(directory, "source"), os.path.join(directory, "target")
with open(source, "wb") as file:
    file.write(random.Random(2).randbytes(8_000_000))
s3.upload_file(source, "stock", "file")
other.download_file("stock", "file", target)
assert filecmp.cmp(source, target, shallow=False)

# Listing: pages, prefixes, order.
for number in range(25):
    s3.put_object(Bucket="stock", Key=f"many/{number:02}/x", Body=b"x")
keys = []
for page in other.get_paginator("list_objects_v2").paginate(
        Bucket="stock", Prefix="many/", PaginationConfig={"PageSize": 7}):
    keys += [entry["Key"] for entry in page["Contents"]]
assert keys == [f"many/{number:02}/x" for number in range(25)], keys
top = other.list_objects_v2(Bucket="stock", Delimiter="/")
assert [entry["Prefix"] for entry in top["CommonPrefixes"]] == ["a/", "many/"], top
assert [entry["Key"] for entry in top["Contents"]] == ["empty", "file"], top

# Conditions.
refused("PreconditionFailed", s3.put_object, Bucket="stock", Key="file", Body=b"", IfNoneMatch="*")
s3.put_object(Bucket="stock", Key="new", Body=b"1", IfNoneMatch="*")
first = other.head_object(Bucket="stock", Key="new")["ETag"]
other.put_object(Bucket="stock", Key="new", Body=b"2", IfMatch=first)
refused("PreconditionFailed", s3.put_object, Bucket="stock", Key="new", Body=b"3", IfMatch=first)
refused(304, s3.get_object, Bucket="stock", Key="file",
        IfNoneMatch=s3.head_object(Bucket="stock", Key="file")["ETag"])
assert other.get_object(Bucket="stock", Key="new")["Body"].read() == b"2"

# Presigned URLs.
url = s3.generate_presigned_url("get_object", {"Bucket": "stock", "Key": "new"}, ExpiresIn=60)
assert urllib.request.urlopen(url).read() == b"2"
try:
    urllib.request.urlopen(url.replace("new", "file"))
    raise AssertionError("a presigned URL opened another object")
except urllib.error.HTTPError as error:
    assert error.code == 403, error

# Removal.
s3.delete_object(Bucket="stock", Key="new")
refused("NoSuchKey", other.get_object, Bucket="stock", Key="new")
refused("BucketNotEmpty", other.delete_bucket, Bucket="stock")
left = [entry["Key"] for entry in other.list_objects_v2(Bucket="stock")["Contents"]]
deleted = s3.delete_objects(Bucket="stock", Delete={"Objects": [{"Key": key} for key in left]})
assert len(deleted["Deleted"]) == len(left) and "Errors" not in deleted, deleted
assert other.list_objects_v2(Bucket="stock")["KeyCount"] == 0
s3.delete_bucket(Bucket="stock")
refused("NoSuchBucket", other.list_objects_v2, Bucket="stock")

print("everything is as the client expects")
