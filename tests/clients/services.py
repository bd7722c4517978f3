"""Drives every service of a daemon from Python's grpcio: services.py STUBS SOCKET ROOT.

STUBS is a directory of what grpcio-tools makes of this repository's .proto files. Exits 0 if all
answers are right, and every service that the daemon has was asked something.
"""

import hashlib
import os
import queue
import sys
import uuid
from pathlib import Path

STUBS, SOCKET, ROOT = sys.argv[1:]
sys.path.insert(0, STUBS)

import grpc
from build.bazel.remote.execution.v2 import remote_execution_pb2 as reapi
from build.bazel.remote.execution.v2 import remote_execution_pb2_grpc as reapi_grpc
from google.bytestream import bytestream_pb2 as bytestream
from google.bytestream import bytestream_pb2_grpc as bytestream_grpc
from google.protobuf import descriptor_pool, message_factory
from grpc_reflection.v1alpha.proto_reflection_descriptor_database import ProtoReflectionDescriptorDatabase
from onewriter.v1 import administration_pb2 as administration
from onewriter.v1 import administration_pb2_grpc as administration_grpc
from onewriter.v1 import builds_pb2 as builds
from onewriter.v1 import builds_pb2_grpc as builds_grpc
from onewriter.v1 import common_pb2 as common
from onewriter.v1 import leases_pb2 as leases
from onewriter.v1 import leases_pb2_grpc as leases_grpc
from onewriter.v1 import mutations_pb2 as mutations
from onewriter.v1 import mutations_pb2_grpc as mutations_grpc
from onewriter.v1 import reading_pb2 as reading
from onewriter.v1 import reading_pb2_grpc as reading_grpc
from onewriter.v1 import transactions_pb2 as transactions
from onewriter.v1 import transactions_pb2_grpc as transactions_grpc

TIMEOUT = 60
CONTENT = bytes(range(256)) * 4096 * 3
REFLECTION = "grpc.reflection."


class Recorder(grpc.UnaryUnaryClientInterceptor, grpc.UnaryStreamClientInterceptor,
               grpc.StreamUnaryClientInterceptor, grpc.StreamStreamClientInterceptor):
    """Notes which methods are called, and gives every call an end."""

    def __init__(self):
        self.called = set()

    def _call(self, continuation, details, request):
        self.called.add(details.method.lstrip("/"))
        return continuation(details._replace(timeout=TIMEOUT), request)

    intercept_unary_unary = intercept_unary_stream = _call
    intercept_stream_unary = intercept_stream_stream = _call


class Conversation:
    """A call in which both sides take turns."""

    def __init__(self, method):
        self._steps = queue.SimpleQueue()
        self._answers = method(iter(self._steps.get, None))

    def say(self, step):
        self._steps.put(step)
        return next(self._answers)

    def end(self):
        self._steps.put(None)
        return list(self._answers)


def is_refused(code, call):
    try:
        call()
    except grpc.RpcError as error:
        assert error.code() == code, error
        return True
    return False


def sha256(content):
    return reapi.Digest(hash=hashlib.sha256(content).hexdigest(), size_bytes=len(content))


def changes(channel):
    stub = mutations_grpc.MutationsStub(channel)
    context = common.Context(build="python", target="all")
    make = mutations.MakeDirectories(paths=[b"d/e"])
    made = stub.MakeDirectories(mutations.MakeDirectoriesRequest(context=context, make=make))
    assert [change.outcome for change in made.changes][-1] == common.OUTCOME_CREATED
    assert Path(ROOT, "d/e").is_dir()

    talk = Conversation(stub.PublishStream)
    begin = mutations.PublishBegin(context=context, to=mutations.Publication(path=b"d/large"))
    talk._steps.put(mutations.PublishStreamRequest(begin=begin))
    for at in range(0, len(CONTENT), 1 << 17):
        talk._steps.put(mutations.PublishStreamRequest(chunk=CONTENT[at:at + (1 << 17)]))
    finish = mutations.PublishFinish(size=len(CONTENT))
    done = talk.say(mutations.PublishStreamRequest(finish=finish)).done
    assert done.changes[-1].bytes == len(CONTENT)
    talk.end()
    assert Path(ROOT, "d/large").read_bytes() == CONTENT

    link = mutations.Symlink(path=b"d/link", target=b"large")
    stub.Symlink(mutations.SymlinkRequest(context=context, link=link))
    assert os.readlink(Path(ROOT, "d/link")) == "large"
    escape = mutations.MakeDirectories(paths=[b"../escape"])
    request = mutations.MakeDirectoriesRequest(make=escape)
    assert is_refused(grpc.StatusCode.INVALID_ARGUMENT, lambda: stub.MakeDirectories(request))


def looks(channel):
    stub = reading_grpc.ReadingStub(channel)
    found = stub.Stat(reading.StatRequest(paths=[b"d/large", b"nothing"])).stats
    assert (found[0].size, found[1].kind) == (len(CONTENT), common.FILE_KIND_UNSPECIFIED)
    parts = stub.ReadFile(reading.ReadFileRequest(path=b"d/large", offset=100))
    assert b"".join(part.chunk for part in parts) == CONTENT[100:]
    records = list(stub.ListJournal(reading.ListJournalRequest(build="python")))
    assert {record.target for record in records} == {"all"}


def follows(channel):
    stub = reading_grpc.ReadingStub(channel)
    waiting = stub.Wait(reading.WaitRequest(paths=[b"d/e", b"d/awaited"]))
    begun = next(waiting)
    assert begun.seq > 0 and not begun.found
    assert [one.index for one in next(waiting).found] == [0]
    watching = stub.WatchJournal(reading.WatchJournalRequest(after_seq=0, paths=[b"d"]))
    seen = [record.path for record in next(watching).records]
    assert b"d/large" in seen, seen
    make = mutations.MakeDirectories(paths=[b"d/awaited"])
    mutations_grpc.MutationsStub(channel).MakeDirectories(
        mutations.MakeDirectoriesRequest(make=make))
    found = [one for answer in waiting for one in answer.found]
    assert [(one.index, one.stat.path) for one in found] == [(1, b"d/awaited")]
    while b"d/awaited" not in seen:
        answer = next(watching)
        assert answer.seq > begun.seq
        seen += [record.path for record in answer.records]
    assert len(seen) == len(set(seen)), seen
    workers = administration_grpc.AdministrationStub(channel).Workers(
        administration.WorkersRequest()).workers
    own = [worker for worker in workers if worker.pid == os.getpid()]
    methods = [request.method for request in own[0].requests]
    assert "onewriter.v1.Reading/WatchJournal" in methods, methods
    watching.cancel()
    gone = reading.WatchJournalRequest(after_seq=1 << 40)
    assert is_refused(grpc.StatusCode.OUT_OF_RANGE, lambda: next(stub.WatchJournal(gone)))


def holds_leases(channel):
    stub = leases_grpc.LeasesStub(channel)
    hold = Conversation(stub.Hold)
    acquire = leases.LeaseAcquire(name="python", ttl_ms=60_000)
    assert hold.say(leases.HoldRequest(acquire=acquire)).granted.token > 0
    kept = hold.say(leases.HoldRequest(keep_alive=leases.LeaseKeepAlive()))
    assert kept.HasField("kept")
    status = administration_grpc.AdministrationStub(channel).Status(administration.StatusRequest())
    assert [lease.name for lease in status.leases] == ["python"]
    hold.end()

    begin = leases.OnceBegin(context=common.Context(build="python"), key="once", ttl_ms=60_000)
    first = Conversation(stub.Once)
    assert first.say(leases.OnceRequest(begin=begin)).run.token > 0
    ended = first.say(leases.OnceRequest(finish=leases.OnceFinish(exit_code=3)))
    assert ended.HasField("ended")
    first.end()
    second = Conversation(stub.Once)
    assert second.say(leases.OnceRequest(begin=begin)).ended.exit_code == 3
    second.end()


def commits(channel):
    stub = transactions_grpc.TransactionsStub(channel)
    talk = Conversation(stub.Transact)
    begin = transactions.TransactionBegin(context=common.Context(build="python"), method="run")
    begun = talk.say(transactions.TransactRequest(begin=begin)).begun
    upper = Path(ROOT, ".onewriter/staging", begun.name, "upper")
    upper.joinpath("committed").write_bytes(b"together")
    assert not Path(ROOT, "committed").exists()
    commit = transactions.TransactRequest(commit=transactions.TransactionCommit())
    done = talk.say(commit).committed
    assert done.changed == 1, done
    talk.end()
    assert Path(ROOT, "committed").read_bytes() == b"together"

    talk, ask = Conversation(stub.TransactRemote), transactions.RemoteRequest
    key = os.urandom(16)
    talk.say(ask(begin=transactions.RemoteBegin(begin=begin, key=key)))
    directory = transactions.RemoteDirectory(mode=0o755)
    entries = [
        transactions.RemoteEntry(path=b"sent", directory=directory),
        transactions.RemoteEntry(path=b"sent/link", symlink=b"../committed"),
    ]
    wanted = talk.say(ask(entries=transactions.RemoteEntries(entries=entries))).wanted
    assert not wanted.files, wanted
    done = talk.say(ask(commit=transactions.TransactionCommit())).committed
    assert done.changed == 2, done
    known = talk.say(ask(ask=transactions.RemoteAsk(key=key))).known
    assert known.fate == transactions.RemoteKnown.FATE_COMMITTED, known
    talk.end()
    assert Path(ROOT, "sent/link").read_bytes() == b"together"


def accounts(channel):
    stub = builds_grpc.BuildsStub(channel)
    build = stub.Begin(builds.BuildBegin(command="make", directory=".", jobs=2)).id
    context = common.Context(build=build, target="all", recipe=common.Recipe(command=":"))
    stub.Ran(builds.RecipeRan(context=context, how=builds.RECIPE_HOW_UNWRAPPED))
    assert stub.End(builds.BuildEnd(id=build)).recipes == 1
    assert build in [known.id for known in stub.List(builds.BuildList()).builds]
    parts = list(stub.Report(builds.ReportRequest(build=build)))
    assert parts[0].build.command == "make"


def stores(channel):
    capabilities = reapi_grpc.CapabilitiesStub(channel)
    cache = capabilities.GetCapabilities(reapi.GetCapabilitiesRequest()).cache_capabilities
    assert reapi.DigestFunction.SHA256 in cache.digest_functions

    storage = reapi_grpc.ContentAddressableStorageStub(channel)
    small, large = sha256(b"small"), sha256(CONTENT)
    one = reapi.BatchUpdateBlobsRequest.Request(digest=small, data=b"small")
    kept = storage.BatchUpdateBlobs(reapi.BatchUpdateBlobsRequest(requests=[one]))
    assert kept.responses[0].status.code == 0
    asked = reapi.FindMissingBlobsRequest(blob_digests=[small, large])
    assert list(storage.FindMissingBlobs(asked).missing_blob_digests) == [large]

    stream = bytestream_grpc.ByteStreamStub(channel)
    name = f"uploads/{uuid.uuid4()}/blobs/{large.hash}/{large.size_bytes}"
    half = len(CONTENT) // 2
    first = bytestream.WriteRequest(resource_name=name, data=CONTENT[:half])
    assert stream.Write(iter([first])).committed_size == half
    request = bytestream.QueryWriteStatusRequest(resource_name=name)
    assert stream.QueryWriteStatus(request).committed_size == half
    rest = bytestream.WriteRequest(
        resource_name=name, write_offset=half, data=CONTENT[half:], finish_write=True)
    assert stream.Write(iter([rest])).committed_size == len(CONTENT)
    read = bytestream.ReadRequest(resource_name=f"blobs/{large.hash}/{large.size_bytes}")
    assert b"".join(part.data for part in stream.Read(read)) == CONTENT
    wrong = bytestream.WriteRequest(
        resource_name=f"uploads/x/blobs/{sha256(b'x').hash}/1", data=b"y", finish_write=True)
    assert is_refused(grpc.StatusCode.INVALID_ARGUMENT, lambda: stream.Write(iter([wrong])))

    results = reapi_grpc.ActionCacheStub(channel)
    action = sha256(b"action")
    get = reapi.GetActionResultRequest(action_digest=action)
    assert is_refused(grpc.StatusCode.NOT_FOUND, lambda: results.GetActionResult(get))
    result = reapi.ActionResult(output_files=[reapi.OutputFile(path="o", digest=large)])
    results.UpdateActionResult(
        reapi.UpdateActionResultRequest(action_digest=action, action_result=result))
    assert results.GetActionResult(get) == result

    publish = mutations.PublishDigest(
        to=mutations.Publication(path=b"from-store"),
        digest=common.Digest(function=common.Digest.FUNCTION_SHA256,
                             hash=bytes.fromhex(small.hash), size=small.size_bytes))
    stub = mutations_grpc.MutationsStub(channel)
    stub.PublishDigest(mutations.PublishDigestRequest(publish=publish))
    assert Path(ROOT, "from-store").read_bytes() == b"small"


def is_found_by_reflection(channel):
    """What a client can do that knows nothing of us; the names of all services."""
    database = ProtoReflectionDescriptorDatabase(channel)
    services = database.get_services()
    pool = descriptor_pool.DescriptorPool(database)
    for service in services:
        if not service.startswith(REFLECTION):
            assert pool.FindServiceByName(service).methods, service

    def ask(service, method, **fields):
        found = pool.FindServiceByName(service).methods_by_name[method]
        answer = message_factory.GetMessageClass(found.output_type)
        question = message_factory.GetMessageClass(found.input_type)(**fields)
        call = channel.unary_unary(
            f"/{service}/{method}",
            request_serializer=lambda message: message.SerializeToString(),
            response_deserializer=answer.FromString)
        return call(question)

    assert ask("grpc.health.v1.Health", "Check").status == 1
    assert ask("onewriter.v1.Administration", "Statistics").bytes_written > 0
    return services


def stops(channel):
    stub = administration_grpc.AdministrationStub(channel)
    assert stub.Stop(administration.StopRequest()).pid > 0


def main():
    recorder = Recorder()
    # By itself grpcio calls a Unix socket's host by its path with percent signs, which hyper refuses.
    options = [("grpc.default_authority", "localhost")]
    with grpc.insecure_channel(f"unix:{SOCKET}", options) as plain:
        channel = grpc.intercept_channel(plain, recorder)
        for step in changes, looks, follows, holds_leases, commits, accounts, stores:
            step(channel)
            print(f"    {step.__name__.replace('_', ' ')}", flush=True)
        services = is_found_by_reflection(channel)
        print(f"    {len(services)} services are found by reflection", flush=True)
        stops(channel)
    asked = {method.split("/")[0] for method in recorder.called}
    untouched = {service for service in services if service not in asked}
    untouched = {service for service in untouched if not service.startswith(REFLECTION)}
    if untouched:
        sys.exit(f"nobody asked {', '.join(sorted(untouched))}")
    print(f"    {len(recorder.called)} rpcs of them were called")


main()
