"""open-inference-grpc's stubs, grpcio-health-checking and grpcio-reflection."""

import struct

import grpc
from grpc_health.v1 import health_pb2, health_pb2_grpc
from grpc_reflection.v1alpha.proto_reflection_descriptor_database import \
    ProtoReflectionDescriptorDatabase
from google.protobuf.descriptor_pool import DescriptorPool
from open_inference.grpc import protocol, service

import harness
from harness import CLASSES, MODEL


class OpenInference(harness.ServerTestCase):
    def setUp(self):
        self.channel = grpc.insecure_channel(self.grpc)
        self.addCleanup(self.channel.close)
        self.stub = service.GRPCInferenceServiceStub(self.channel)

    def request(self):
        return protocol.ModelInferRequest(
            model_name=MODEL, id="a name",
            inputs=[protocol.ModelInferRequest.InferInputTensor(
                name="image_bytes", datatype="BYTES", shape=[1],
                contents=protocol.InferTensorContents(bytes_contents=[harness.photo()]))])

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
        answer = self.stub.ModelInfer(self.request())
        self.assertEqual(answer.id, "a name")
        self.check_probabilities(struct.unpack(f"<{CLASSES}f", answer.raw_output_contents[0]))

    def test_errors(self):
        request = self.request()
        request.inputs[0].shape[0] = 2
        with self.assertRaises(grpc.RpcError) as caught:
            self.stub.ModelInfer(request)
        self.assertEqual(caught.exception.code(), grpc.StatusCode.INVALID_ARGUMENT)
        self.assertIn("want 2", caught.exception.details())

    def test_cancelled_calls_are_dropped(self):
        call = self.stub.ModelInfer.future(self.request())
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


if __name__ == "__main__":
    harness.main()
