"""Drives a daemon whose content an external store keeps: store.py STUBS SOCKET ROOT PHASE.

In the phase `serves`, content and results are put into the store through the daemon, and published
by it; in `is-down`, the store is not there, and whoever needs it is told so; in `is-back`, all that
was put there is there again. Exits 0 if all answers are right.
"""

import hashlib
import sys
import uuid
from pathlib import Path

STUBS, SOCKET, ROOT, PHASE = sys.argv[1:]
sys.path.insert(0, STUBS)

import grpc
from build.bazel.remote.execution.v2 import remote_execution_pb2 as reapi
from build.bazel.remote.execution.v2 import remote_execution_pb2_grpc as reapi_grpc
from google.bytestream import bytestream_pb2 as bytestream
from google.bytestream import bytestream_pb2_grpc as bytestream_grpc
from onewriter.v1 import common_pb2 as common
from onewriter.v1 import mutations_pb2 as mutations
from onewriter.v1 import mutations_pb2_grpc as mutations_grpc

SMALL = b"small content"
LARGE = bytes(range(256)) * 4096 * 9
RESULT = reapi.ActionResult(exit_code=3, stdout_raw=b"out")
PIECE = 1 << 20


def sha256(content):
    return reapi.Digest(hash=hashlib.sha256(content).hexdigest(), size_bytes=len(content))


class Daemon:
    def __init__(self, channel):
        self.capabilities = reapi_grpc.CapabilitiesStub(channel)
        self.storage = reapi_grpc.ContentAddressableStorageStub(channel)
        self.results = reapi_grpc.ActionCacheStub(channel)
        self.streams = bytestream_grpc.ByteStreamStub(channel)
        self.mutations = mutations_grpc.MutationsStub(channel)

    def missing(self, *contents):
        digests = [sha256(content) for content in contents]
        request = reapi.FindMissingBlobsRequest(blob_digests=digests)
        return {digest.hash for digest in self.storage.FindMissingBlobs(request).missing_blob_digests}

    def write(self, content):
        digest = sha256(content)
        name = f"uploads/{uuid.uuid4()}/blobs/{digest.hash}/{digest.size_bytes}"

        def pieces():
            for at in range(0, len(content), PIECE):
                piece = content[at:at + PIECE]
                yield bytestream.WriteRequest(resource_name=name, write_offset=at, data=piece,
                                              finish_write=at + len(piece) == len(content))

        return self.streams.Write(pieces()).committed_size

    def read(self, content):
        digest = sha256(content)
        request = bytestream.ReadRequest(resource_name=f"blobs/{digest.hash}/{digest.size_bytes}")
        return b"".join(piece.data for piece in self.streams.Read(request))

    def publish(self, path, content):
        digest = common.Digest(function=common.Digest.FUNCTION_SHA256, size=len(content),
                               hash=hashlib.sha256(content).digest())
        to = mutations.Publication(path=path.encode())
        publish = mutations.PublishDigest(to=to, digest=digest)
        request = mutations.PublishDigestRequest(publish=publish)
        return self.mutations.PublishDigest(request, timeout=60).changes[-1].outcome


def is_refused(code, call):
    try:
        call()
    except grpc.RpcError as error:
        assert error.code() == code, error
        return True
    return False


def action():
    return {"action_digest": sha256(b"action")}


def serves(daemon):
    told = daemon.capabilities.GetCapabilities(reapi.GetCapabilitiesRequest()).cache_capabilities
    assert reapi.DigestFunction.SHA256 in told.digest_functions, told
    assert daemon.missing(SMALL, LARGE) == {sha256(SMALL).hash, sha256(LARGE).hash}
    assert is_refused(grpc.StatusCode.FAILED_PRECONDITION, lambda: daemon.publish("large", LARGE))
    one = reapi.BatchUpdateBlobsRequest.Request(digest=sha256(SMALL), data=SMALL)
    put = daemon.storage.BatchUpdateBlobs(reapi.BatchUpdateBlobsRequest(requests=[one]))
    assert put.responses[0].status.code == 0, put
    assert daemon.write(LARGE) == len(LARGE)
    assert daemon.missing(SMALL, LARGE) == set()
    got = daemon.storage.BatchReadBlobs(reapi.BatchReadBlobsRequest(digests=[sha256(SMALL)]))
    assert got.responses[0].data == SMALL
    assert is_refused(grpc.StatusCode.NOT_FOUND, lambda: daemon.read(b"nobody has it"))
    lookup = reapi.GetActionResultRequest(**action())
    assert is_refused(grpc.StatusCode.NOT_FOUND, lambda: daemon.results.GetActionResult(lookup))
    update = reapi.UpdateActionResultRequest(action_result=RESULT, **action())
    daemon.results.UpdateActionResult(update)
    assert daemon.results.GetActionResult(lookup).exit_code == 3
    comes_from_there(daemon, "")


def comes_from_there(daemon, suffix):
    for name, content in (("small", SMALL), ("large", LARGE)):
        assert daemon.read(content) == content
        assert daemon.publish(name + suffix, content) == common.OUTCOME_CREATED
        assert Path(ROOT, name + suffix).read_bytes() == content
        assert daemon.publish(name + suffix, content) == common.OUTCOME_UNCHANGED
    assert not Path(ROOT, ".onewriter/cas").exists()


def is_down(daemon):
    for call in (lambda: daemon.read(SMALL), lambda: daemon.missing(SMALL), lambda: daemon.write(LARGE),
                 lambda: daemon.publish("other", b"other")):
        assert is_refused(grpc.StatusCode.UNAVAILABLE, call)
    # What the root has, it needs nobody for.
    assert daemon.publish("small", SMALL) == common.OUTCOME_UNCHANGED
    assert daemon.publish("copy", SMALL) == common.OUTCOME_CREATED


def is_back(daemon):
    for name in ("small", "large", "copy"):
        Path(ROOT, name).unlink()
    comes_from_there(daemon, ".again")


def main():
    # By itself grpcio calls a Unix socket's host by its path with percent signs, which hyper refuses.
    options = [("grpc.default_authority", "localhost"), ("grpc.max_receive_message_length", -1)]
    with grpc.insecure_channel(f"unix:{SOCKET}", options=options) as channel:
        {"serves": serves, "is-down": is_down, "is-back": is_back}[PHASE](Daemon(channel))
    print(f"    {PHASE.replace('-', ' ')}")


main()
