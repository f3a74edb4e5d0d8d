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

# For a region that Amazon had early, the client signs URLs and forms as it did then.
def fetched(url, data=None, method=None, **headers):
    request = urllib.request.Request(url, data=data, method=method, headers=headers)
    try:
        with urllib.request.urlopen(request) as answer:
            return answer.status, answer.read(), answer.headers
    except urllib.error.HTTPError as error:
        return error.code, error.read(), error.headers


def form(post, content, name="photo.jpg"):
    boundary = "----stock"
    body = b"".join(
        f'--{boundary}\r\nContent-Disposition: form-data; name="{field}"\r\n\r\n{value}\r\n'.encode()
        for field, value in post["fields"].items())
    body += f'--{boundary}\r\nContent-Disposition: form-data; name="file"; filename="{name}"\r\n'.encode()
    body += b"Content-Type: image/jpeg\r\n\r\n" + content + f"\r\n--{boundary}--\r\n".encode()
    return fetched(post["url"], body, "POST",
                   **{"Content-Type": f"multipart/form-data; boundary={boundary}"})


early = boto3.client("s3", endpoint_url=edges[1], region_name="us-east-1",
                     config=Config(s3={"addressing_style": "path"}))
url = early.generate_presigned_url("get_object", {
    "Bucket": "stock", "Key": "new", "ResponseContentType": "text/x-asked"}, ExpiresIn=60)
assert "AWSAccessKeyId=" in url, url
status, body, headers = fetched(url)
assert (status, body, headers["Content-Type"]) == (200, b"2", "text/x-asked"), (status, body)
assert fetched(url.replace("new", "file"))[0] == 403
assert fetched(url.replace("x-asked", "html"))[0] == 403
url = early.generate_presigned_url("put_object", {"Bucket": "stock", "Key": "early"}, ExpiresIn=60)
assert fetched(url, b"early", "PUT", **{"Content-Type": ""})[0] == 200
assert other.get_object(Bucket="stock", Key="early")["Body"].read() == b"early"

for signer in (early, s3):
    fields = {"success_action_status": "201", "Content-Type": "image/jpeg", "x-amz-meta-by": "form"}
    post = signer.generate_presigned_post(
        "stock", "forms/${filename}", Fields=fields, ExpiresIn=60,
        Conditions=[{name: value} for name, value in fields.items()] + [
            ["content-length-range", 1, 100_000]])
    assert ("signature" in post["fields"]) == (signer is early), post
    status, body, headers = form(post, content[:100_000])
    assert status == 201 and b"<Key>forms/photo.jpg</Key>" in body, (status, body)
    answer = other.get_object(Bucket="stock", Key="forms/photo.jpg")
    assert answer["Body"].read() == content[:100_000] and answer["Metadata"] == {"by": "form"}
    assert answer["ContentType"] == "image/jpeg" and answer["ETag"] == headers["ETag"]
    other.delete_object(Bucket="stock", Key="forms/photo.jpg")
    assert form(post, content[:100_001])[0] == 400
    assert form({**post, "fields": {**post["fields"], "key": "elsewhere"}}, b"1")[0] == 403
    assert form({**post, "fields": {**post["fields"], "x-amz-meta-more": "1"}}, b"1")[0] == 403
    refused(404, other.head_object, Bucket="stock", Key="forms/photo.jpg")

# Uploads in parts: the transfer manager's, and the four steps with presigned URLs for any client.
with open(source, "wb") as file:
    file.write(random.Random(3).randbytes(30_000_000))
s3.upload_file(source, "stock", "large", ExtraArgs={"Metadata": {"made": "in parts"}})
other.download_file("stock", "large", target)
assert filecmp.cmp(source, target, shallow=False)
head = other.head_object(Bucket="stock", Key="large")
assert head["Metadata"] == {"made": "in parts"} and head["ETag"].endswith('-4"'), head
at = 5 * 8 * 2**20 // 2 - 5  # In the middle of a part, across the border of a chunk.
ranged = other.get_object(Bucket="stock", Key="large", Range=f"bytes={at}-{at + 4_999_999}")
with open(source, "rb") as file:
    file.seek(at)
    assert ranged["Body"].read() == file.read(5_000_000)

pieces = [random.Random(number).randbytes(5 * 2**20) for number in (4, 5)] + [b"tail"]
upload = s3.create_multipart_upload(Bucket="stock", Key="signed", ContentType="text/x-parts")["UploadId"]
tags = []
for number, piece in enumerate(pieces, 1):
    url = (s3, other)[number % 2].generate_presigned_url(
        "upload_part", {"Bucket": "stock", "Key": "signed", "UploadId": upload, "PartNumber": number})
    with urllib.request.urlopen(urllib.request.Request(url, data=piece, method="PUT")) as put:
        tags.append(put.headers["ETag"])
assert tags == [f'"{hashlib.md5(piece).hexdigest()}"' for piece in pieces], tags
listed = other.list_multipart_uploads(Bucket="stock")["Uploads"]
assert [(entry["Key"], entry["UploadId"]) for entry in listed] == [("signed", upload)], listed
parts = other.list_parts(Bucket="stock", Key="signed", UploadId=upload, MaxParts=2)
assert [part["Size"] for part in parts["Parts"]] == [5 * 2**20] * 2 and parts["IsTruncated"], parts
named = [{"PartNumber": number, "ETag": tag} for number, tag in enumerate(tags, 1)]
complete = dict(Bucket="stock", Key="signed", UploadId=upload, MultipartUpload={"Parts": named})
wrong = [named[0], {"PartNumber": 2, "ETag": tags[0]}]
refused("InvalidPart", s3.complete_multipart_upload, **{**complete, "MultipartUpload": {"Parts": wrong}})
refused("InvalidPartOrder", s3.complete_multipart_upload,
        **{**complete, "MultipartUpload": {"Parts": named[::-1]}})
small = [named[2], dict(named[0], PartNumber=4)]
s3.upload_part(Bucket="stock", Key="signed", UploadId=upload, PartNumber=4, Body=pieces[0])
refused("EntityTooSmall", s3.complete_multipart_upload,
        **{**complete, "MultipartUpload": {"Parts": small}})
refused("NoSuchKey", other.get_object, Bucket="stock", Key="signed")
done = s3.complete_multipart_upload(**complete)
md5s = b"".join(hashlib.md5(piece).digest() for piece in pieces)
assert done["ETag"] == f'"{hashlib.md5(md5s).hexdigest()}-3"', done
assert other.complete_multipart_upload(**complete)["ETag"] == done["ETag"]
answer = other.get_object(Bucket="stock", Key="signed")
assert answer["Body"].read() == b"".join(pieces) and answer["ContentType"] == "text/x-parts"

second = other.get_object(Bucket="stock", Key="signed", PartNumber=2)
assert second["Body"].read() == pieces[1] and second["PartsCount"] == 3, second
assert s3.head_object(Bucket="stock", Key="signed", PartNumber=3)["ContentLength"] == len(b"tail")
told = other.get_object_attributes(
    Bucket="stock", Key="signed", ObjectAttributes=["ETag", "ObjectSize", "ObjectParts"])
assert told["ObjectParts"]["TotalPartsCount"] == 3 and told["ObjectSize"] == 10 * 2**20 + 4, told
assert told["ETag"] == done["ETag"].strip('"'), told
refused("InvalidPartNumber", s3.get_object, Bucket="stock", Key="signed", PartNumber=4)
refused("PreconditionFailed", s3.complete_multipart_upload, **{
    **complete, "IfNoneMatch": "*", "UploadId": (again := s3.create_multipart_upload(
        Bucket="stock", Key="signed")["UploadId"]),
    "MultipartUpload": {"Parts": [{"PartNumber": 1, "ETag": s3.upload_part(
        Bucket="stock", Key="signed", UploadId=again, PartNumber=1, Body=b"1")["ETag"]}]}})
s3.abort_multipart_upload(Bucket="stock", Key="signed", UploadId=again)

upload = s3.create_multipart_upload(Bucket="stock", Key="given up")["UploadId"]
s3.upload_part(Bucket="stock", Key="given up", UploadId=upload, PartNumber=1, Body=b"1")
s3.abort_multipart_upload(Bucket="stock", Key="given up", UploadId=upload)
refused("NoSuchUpload", other.list_parts, Bucket="stock", Key="given up", UploadId=upload)
assert "Uploads" not in other.list_multipart_uploads(Bucket="stock")

# Copies: of metadata alone inside a bucket, of a range into a part.
s3.copy_object(Bucket="stock", Key="copy", CopySource={"Bucket": "stock", "Key": "signed"})
answer = other.get_object(Bucket="stock", Key="copy")
assert answer["Body"].read() == b"".join(pieces) and answer["ContentType"] == "text/x-parts"
s3.copy_object(Bucket="stock", Key="copy", CopySource={"Bucket": "stock", "Key": "signed"},
               MetadataDirective="REPLACE", Metadata={"colour": "red"})
assert other.head_object(Bucket="stock", Key="copy")["Metadata"] == {"colour": "red"}
refused("PreconditionFailed", s3.copy_object, Bucket="stock", Key="copy",
        CopySource={"Bucket": "stock", "Key": "signed"}, CopySourceIfMatch='"another"')
upload = s3.create_multipart_upload(Bucket="stock", Key="from a copy")["UploadId"]
part = s3.upload_part_copy(
    Bucket="stock", Key="from a copy", UploadId=upload, PartNumber=1,
    CopySource={"Bucket": "stock", "Key": "signed"}, CopySourceRange="bytes=100-6000099")
s3.complete_multipart_upload(
    Bucket="stock", Key="from a copy", UploadId=upload, MultipartUpload={
        "Parts": [{"PartNumber": 1, "ETag": part["CopyPartResult"]["ETag"]}]})
answer = other.get_object(Bucket="stock", Key="from a copy")
assert answer["Body"].read() == b"".join(pieces)[100:6_000_100]

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
