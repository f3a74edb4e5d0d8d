"""What people do with aws-cli and rclone, unchanged, over both of an edge's listeners.

usage: stock_tools.py DIRECTORY TOOL      DIRECTORY is for files of its own; TOOL: aws or rclone
"""

import filecmp
import os
import random
import subprocess
import sys
import urllib.parse

directory, tool = sys.argv[1:]
edges = os.environ["HOLDFAST_EDGES"].split(",")
authority = os.environ["HOLDFAST_CA"]
names = ["a", "b/c d+é.bin", "b/e/f.txt", "b/empty", "g'h&i"]


def run(*words, **variables):
    # Whose certificates count is said for each tool; rclone has its own word for it.
    inherited = {name: value for name, value in os.environ.items() if name != "AWS_CA_BUNDLE"}
    done = subprocess.run(words, env={**inherited, **variables}, capture_output=True, timeout=90)
    if done.returncode != 0:
        said = (done.stdout + done.stderr).decode(errors="replace")
        sys.exit(f"{' '.join(words)} ended with {done.returncode}: {said}")
    return done.stdout.decode()


def secure(edge):
    """The HTTPS listener of an edge: 400 above its plain one, where `init` puts it."""
    parts = urllib.parse.urlsplit(edge)
    return f"https://{parts.hostname}:{parts.port + 400}"


def write(path, size, seed):
    os.makedirs(os.path.dirname(path), exist_ok=True)
    with open(path, "wb") as file:
        while size > 0:
            file.write(random.Random(seed).randbytes(min(size, 1 << 24)))
            size, seed = size - (1 << 24), seed + 1


def assert_equal(one, two):
    compared = filecmp.dircmp(one, two)
    assert not compared.left_only and not compared.right_only, (one, two, compared.report())
    for name in compared.common_files:
        assert filecmp.cmp(f"{one}/{name}", f"{two}/{name}", shallow=False), name
    for name in compared.common_dirs:
        assert_equal(f"{one}/{name}", f"{two}/{name}")


def aws(endpoint, *words):
    program = os.path.join(os.path.dirname(sys.executable), "aws")
    return run(program, "--endpoint-url", endpoint, "s3", *words, AWS_CA_BUNDLE=authority,
               AWS_CONFIG_FILE=f"{directory}/aws-config", AWS_EC2_METADATA_DISABLED="true")


def rclone(endpoint, *words):
    return run("rclone", "--ca-cert", authority, "--config", f"{directory}/rclone.conf",
               "--retries", "1", *words,
               RCLONE_CONFIG_HF_TYPE="s3", RCLONE_CONFIG_HF_PROVIDER="Other",
               RCLONE_CONFIG_HF_ENV_AUTH="true", RCLONE_CONFIG_HF_ENDPOINT=endpoint,
               RCLONE_CONFIG_HF_REGION="holdfast-1")


source, target, large = (f"{directory}/{name}" for name in ("tree", "back", "large"))
for seed, name in enumerate(names):
    write(f"{source}/{name}", 0 if name == "b/empty" else 70_000 * seed + 1, seed)
write(large, 100_000_000, 50)
open(f"{directory}/rclone.conf", "w").close()
http, https = edges[1], secure(edges[2])

if tool == "aws":
    aws(http, "mb", "s3://tools-aws")
    # A folder in by one listener, out by the other; what is there already is not sent again.
    assert len(aws(http, "sync", "--no-progress", source, "s3://tools-aws/tree").splitlines()) == 5
    assert aws(https, "sync", "--no-progress", source, "s3://tools-aws/tree") == ""
    aws(https, "sync", "--no-progress", "s3://tools-aws/tree", target)
    assert_equal(source, target)
    # 100 MB, by default in parts of 8, with trailing checksums; by HTTPS, and back by HTTP.
    aws(https, "cp", "--no-progress", large, "s3://tools-aws/large")
    aws(http, "cp", "--no-progress", "s3://tools-aws/large", f"{directory}/large-back")
    aws(http, "rb", "--force", "s3://tools-aws")
else:
    rclone(http, "mkdir", "hf:tools-rclone")
    rclone(http, "sync", source, "hf:tools-rclone/tree")
    rclone(https, "check", "--download", source, "hf:tools-rclone/tree")
    rclone(https, "sync", "hf:tools-rclone/tree", target)
    assert_equal(source, target)
    os.remove(f"{source}/{names[0]}")
    rclone(https, "sync", source, "hf:tools-rclone/tree")
    assert rclone(http, "lsf", "-R", "--files-only", "hf:tools-rclone/tree").splitlines() == sorted(
        names[1:])
    rclone(https, "copyto", "--s3-upload-cutoff", "20M", large, "hf:tools-rclone/large")
    rclone(http, "copyto", "hf:tools-rclone/large", f"{directory}/large-back")
    rclone(http, "purge", "hf:tools-rclone")
assert filecmp.cmp(large, f"{directory}/large-back", shallow=False)

print(f"{tool} finds everything as it expects")
