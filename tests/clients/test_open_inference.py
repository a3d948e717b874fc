"""open-inference-grpc's stubs, grpcio-health-checking and grpcio-reflection."""

import collections
import queue
import signal
import socket
import struct
import subprocess
import threading
import time

import grpc
from grpc_health.v1 import health_pb2, health_pb2_grpc
from grpc_reflection.v1alpha.proto_reflection_descriptor_database import \
    ProtoReflectionDescriptorDatabase
from google.protobuf.descriptor_pool import DescriptorPool
from open_inference.grpc import protocol, service

import harness
from harness import CLASSES, MODEL


def image_request():
    return protocol.ModelInferRequest(
        model_name=MODEL, id="a name",
        inputs=[protocol.ModelInferRequest.InferInputTensor(
            name="image_bytes", datatype="BYTES", shape=[1],
            contents=protocol.InferTensorContents(bytes_contents=[harness.photo()]))])


class OpenInference(harness.ServerTestCase):
    def setUp(self):
        self.channel = grpc.insecure_channel(self.grpc)
        self.addCleanup(self.channel.close)
        self.stub = service.GRPCInferenceServiceStub(self.channel)

    def test_health(self):
        self.assertTrue(self.stub.ServerLive(protocol.ServerLiveRequest()).live)
        self.assertTrue(self.stub.ServerReady(protocol.ServerReadyRequest()).ready)
        self.assertTrue(self.stub.ModelReady(protocol.ModelReadyRequest(name=MODEL)).ready)
        self.assertFalse(self.stub.ModelReady(protocol.ModelReadyRequest(name="nobody")).ready)

    def test_metadata(self):
        self.assertEqual(self.stub.ServerMetadata(protocol.ServerMetadataRequest()).name, "oriel")
        model = self.stub.ModelMetadata(protocol.ModelMetadataRequest(name=MODEL))
        self.assertEqual(model.outputs[0].shape, [-1, CLASSES])

    def test_typed_contents(self):
        answer = self.stub.ModelInfer(image_request())
        self.assertEqual(answer.id, "a name")
        self.check_probabilities(struct.unpack(f"<{CLASSES}f", answer.raw_output_contents[0]))

    def test_errors(self):
        request = image_request()
        request.inputs[0].shape[0] = 2
        with self.assertRaises(grpc.RpcError) as caught:
            self.stub.ModelInfer(request)
        self.assertEqual(caught.exception.code(), grpc.StatusCode.INVALID_ARGUMENT)
        self.assertIn("want 2", caught.exception.details())

    def test_cancelled_calls_are_dropped(self):
        call = self.stub.ModelInfer.future(image_request())
        call.cancel()
        self.assertTrue(call.cancelled())
        self.test_typed_contents()

    def test_health_service(self):
        health = health_pb2_grpc.HealthStub(self.channel)
        for name in "", MODEL:
            # Looked at twenty times a second.
            for answer in health.Watch(health_pb2.HealthCheckRequest(service=name), timeout=5):
                if answer.status == health_pb2.HealthCheckResponse.SERVING:
                    break
            answer = health.Check(health_pb2.HealthCheckRequest(service=name))
            self.assertEqual(answer.status, health_pb2.HealthCheckResponse.SERVING)
        with self.assertRaises(grpc.RpcError) as caught:
            health.Check(health_pb2.HealthCheckRequest(service="nobody"))
        self.assertEqual(caught.exception.code(), grpc.StatusCode.NOT_FOUND)

    # As grpcurl does: the call is made from what the server says of itself.
    def test_reflection(self):
        database = ProtoReflectionDescriptorDatabase(self.channel)
        self.assertLessEqual(
            {"inference.GRPCInferenceService", "tensorflow.serving.PredictionService",
             "tensorflow.serving.ModelService", "grpc.health.v1.Health"},
            set(database.get_services()))
        pool = DescriptorPool(database)
        method = pool.FindServiceByName("inference.GRPCInferenceService").FindMethodByName(
            "ModelInfer")
        self.assertEqual(method.input_type.fields_by_name["raw_input_contents"].number, 7)
        predict = pool.FindMessageTypeByName("tensorflow.serving.PredictRequest")
        self.assertEqual(predict.fields_by_name["inputs"].number, 2)


class Shutdown(harness.ServerTestCase):
    """SIGTERM while calls come in; tearing down checks that the server ends with 0."""

    def test_accepted_calls_are_answered(self):
        outcomes = collections.Counter()
        stop = threading.Event()
        details = []

        def ask():
            with grpc.insecure_channel(self.grpc, [("grpc.use_local_subchannel_pool", 1)]) as channel:
                stub = service.GRPCInferenceServiceStub(channel)
                while not stop.is_set():
                    try:
                        stub.ModelInfer(image_request())
                        outcomes["answered"] += 1
                    except grpc.RpcError as error:
                        outcomes[error.code()] += 1
                        details.append(error.details())
                        return

        def stream():
            with grpc.insecure_channel(self.grpc, [("grpc.use_local_subchannel_pool", 1)]) as channel:
                call = channel.stream_stream(
                    "/inference.GRPCInferenceService/ModelStreamInfer",
                    request_serializer=protocol.ModelInferRequest.SerializeToString)
                sent = queue.SimpleQueue()
                for _ in range(2):
                    sent.put(image_request())
                try:
                    for _ in call(iter(sent.get, None)):
                        outcomes["streamed"] += 1
                        sent.put(image_request())
                    outcomes["ended"] += 1
                except grpc.RpcError as error:
                    outcomes[error.code()] += 1
                sent.put(None)

        threads = [threading.Thread(target=ask) for _ in range(4)]
        threads.append(threading.Thread(target=stream))
        for thread in threads:
            thread.start()
        while outcomes["answered"] < 10 or outcomes["streamed"] < 5:
            time.sleep(0.01)
        self.server.send_signal(signal.SIGTERM)
        self.assertEqual(self.server.wait(timeout=20), 0)
        stop.set()
        for thread in threads:
            thread.join(timeout=20)
        self.assertEqual(set(outcomes), {"answered", "streamed", grpc.StatusCode.UNAVAILABLE},
                         details)
        self.assertEqual(outcomes[grpc.StatusCode.UNAVAILABLE], len(threads), (outcomes, details))

    def test_a_taken_port_is_told(self):
        with socket.socket() as taken:
            taken.bind(("127.0.0.1", 0))
            taken.listen()
            port = str(taken.getsockname()[1])
            done = subprocess.run(
                [harness.FLAGS.oriel, "serve", MODEL, "--model-dir", self.models, "--port", "0",
                 "--grpc-port", port], capture_output=True, text=True, timeout=60)
        self.assertEqual(done.returncode, 69)
        self.assertIn(f"127.0.0.1:{port}: Address already in use", done.stderr)
        self.assertIn("--grpc-port", done.stderr)


if __name__ == "__main__":
    harness.main()
