"""What Triton's perf_analyzer asks of a server, call by call and field by field.

Its package wants a newer C library than Debian 12 has; these are the calls that it makes
and the fields that it reads, as read from its source (client_backend/triton,
client_backend/tensorflow_serving, model_parser.cc).
"""

import json
import struct

import grpc
import numpy as np
import requests
from tritonclient.grpc import service_pb2, service_pb2_grpc

import harness
from harness import MODEL

STAGES = ("success", "fail", "queue", "compute_input", "compute_infer", "compute_output",
          "cache_hit", "cache_miss")


def fp32(metadata_shape):
    """What it makes up for a tensor of floats, -1 being the batch."""
    shape = [1, *metadata_shape[1:]]
    return shape, np.random.default_rng(0).random(np.prod(shape), np.float32).tobytes()


class OverHttp(harness.ServerTestCase):
    def get(self, path):
        answer = requests.get(f"http://{self.http}{path}")
        self.assertEqual(answer.status_code, 200, answer.text)
        self.assertEqual(answer.headers["Content-Type"], "application/json")
        return answer.json()

    def statistics(self):
        model, = self.get(f"/v2/models/{MODEL}/stats")["model_stats"]
        self.assertEqual((model["name"], model["version"]), (MODEL, "1"))
        for key in "inference_count", "execution_count":
            self.assertIs(type(model[key]), int)
        for stage in STAGES:  # all of them, unchecked
            self.assertIs(type(model["inference_stats"][stage]["count"]), int, stage)
            self.assertIs(type(model["inference_stats"][stage]["ns"]), int, stage)
        return model

    def test_a_run(self):
        metadata = self.get(f"/v2/models/{MODEL}")
        config = self.get(f"/v2/models/{MODEL}/config")
        self.assertEqual(metadata["name"], MODEL)
        self.assertEqual(config["name"], MODEL)
        # The batch is the first size of the metadata, and none of the configuration's.
        self.assertGreater(config["max_batch_size"], 0)
        self.assertNotEqual(config["platform"], "ensemble")
        self.assertIn("dynamic_batching", config)
        self.assertNotIn("sequence_batching", config)
        self.assertIs(config["response_cache"]["enable"], False)
        self.assertIs(config["model_transaction_policy"]["decoupled"], False)
        for kind in "input", "output":
            tensor, = metadata[kind + "s"]
            configured, = config[kind]
            self.assertEqual(tensor["name"], configured["name"])
            self.assertEqual(tensor["datatype"], "FP32")
            self.assertEqual(tensor["shape"], [-1, *configured["dims"]])
        self.assertIn("statistics", self.get("/v2")["extensions"])

        before = self.statistics()
        tensor = metadata["inputs"][0]
        shape, raw = fp32(tensor["shape"])
        head = json.dumps({
            "id": "0",
            "inputs": [{"name": tensor["name"], "shape": shape, "datatype": "FP32",
                        "parameters": {"binary_data_size": len(raw)}}],
            "outputs": [{"name": metadata["outputs"][0]["name"],
                         "parameters": {"binary_data": True}}]}).encode()
        answer = requests.post(
            f"http://{self.http}/v2/models/{MODEL}/infer", data=head + raw,
            headers={"Inference-Header-Content-Length": str(len(head)),
                     "Content-Type": "application/octet-stream"})
        self.assertEqual(answer.status_code, 200, answer.text)
        length = int(answer.headers["Inference-Header-Content-Length"])
        said = json.loads(answer.content[:length])
        self.assertEqual(said["id"], "0")
        self.assertEqual(said["outputs"][0]["parameters"]["binary_data_size"],
                         len(answer.content) - length)
        after = self.statistics()
        self.assertEqual(after["inference_count"] - before["inference_count"], 1)
        self.assertEqual(after["execution_count"] - before["execution_count"], 1)
        for stage in "success", "compute_infer":
            self.assertEqual(after["inference_stats"][stage]["count"] -
                             before["inference_stats"][stage]["count"], 1)
            self.assertGreater(after["inference_stats"][stage]["ns"],
                               before["inference_stats"][stage]["ns"])
        # Of all models, as it asks for those of ensembles.
        self.assertEqual(len(self.get("/v2/models/stats")["model_stats"]), 1)

    # The C++ client's IsServerReady.
    def test_live(self):
        self.assertEqual(requests.get(f"http://{self.http}/v2/health/live").status_code, 200)

    # The C++ client says how long the JSON is even where nothing follows it.
    def test_header_of_json_alone(self):
        body = json.dumps({"inputs": [{"name": "image_bytes", "shape": [1], "datatype": "BYTES",
                                       "data": ["bm8gcGhvdG8="]}]})
        answer = requests.post(f"http://{self.http}/v2/models/{MODEL}/infer", data=body,
                               headers={"Inference-Header-Content-Length": str(len(body))})
        self.assertEqual(answer.status_code, 400)
        self.assertIn("image 0: not a JPEG", answer.json()["error"])


class OverGrpc(harness.ServerTestCase):
    def setUp(self):
        self.channel = grpc.insecure_channel(self.grpc, options=[
            ("grpc.max_receive_message_length", -1), ("grpc.max_send_message_length", -1)])
        self.addCleanup(self.channel.close)
        self.stub = service_pb2_grpc.GRPCInferenceServiceStub(self.channel)

    def statistics(self, name=MODEL):
        model, = self.stub.ModelStatistics(
            service_pb2.ModelStatisticsRequest(name=name)).model_stats
        self.assertEqual((model.name, model.version), (MODEL, "1"))
        for stage in STAGES:
            self.assertTrue(model.inference_stats.HasField(stage), stage)
        return model

    def request(self):
        metadata = self.stub.ModelMetadata(service_pb2.ModelMetadataRequest(name=MODEL))
        shape, raw = fp32(metadata.inputs[0].shape)
        return service_pb2.ModelInferRequest(
            model_name=MODEL, id="0",
            inputs=[{"name": metadata.inputs[0].name, "shape": shape, "datatype": "FP32"}],
            outputs=[{"name": metadata.outputs[0].name}], raw_input_contents=[raw])

    def test_a_run(self):
        metadata = self.stub.ModelMetadata(service_pb2.ModelMetadataRequest(name=MODEL))
        config = self.stub.ModelConfig(service_pb2.ModelConfigRequest(name=MODEL)).config
        self.assertEqual(config.name, MODEL)
        self.assertGreater(config.max_batch_size, 0)
        self.assertEqual(config.WhichOneof("scheduling_choice"), "dynamic_batching")
        self.assertFalse(config.response_cache.enable)
        self.assertFalse(config.model_transaction_policy.decoupled)
        self.assertEqual(metadata.inputs[0].name, config.input[0].name)
        self.assertEqual(metadata.outputs[0].name, config.output[0].name)
        self.assertEqual(list(metadata.inputs[0].shape), [-1, *config.input[0].dims])
        self.assertIn("statistics",
                      self.stub.ServerMetadata(service_pb2.ServerMetadataRequest()).extensions)
        before = self.statistics()
        answer = self.stub.ModelInfer(self.request())
        self.assertEqual(answer.id, "0")
        self.assertEqual(list(answer.outputs[0].shape), [1, *config.output[0].dims])
        self.assertEqual(len(answer.raw_output_contents[0]), 4 * config.output[0].dims[0])
        after = self.statistics(name="")
        self.assertEqual(after.inference_count - before.inference_count, 1)
        self.assertGreater(after.inference_stats.compute_infer.ns,
                           before.inference_stats.compute_infer.ns)

    # --streaming
    def test_streaming(self):
        answers = self.stub.ModelStreamInfer(iter([self.request(), self.request()]))
        for answer in answers:
            self.assertEqual(answer.error_message, "")
            self.assertEqual(answer.infer_response.id, "0")
            self.assertTrue(
                answer.infer_response.parameters["triton_final_response"].bool_param)

    # --input-data with the bytes of an image, which come with their length.
    def test_bytes(self):
        photo = harness.photo()
        answer = self.stub.ModelInfer(service_pb2.ModelInferRequest(
            model_name=MODEL,
            inputs=[{"name": "image_bytes", "shape": [1], "datatype": "BYTES"}],
            raw_input_contents=[struct.pack("<I", len(photo)) + photo]))
        self.check_probabilities(np.frombuffer(answer.raw_output_contents[0], "<f4"))


if __name__ == "__main__":
    harness.main()
