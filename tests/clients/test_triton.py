"""tritonclient 2.73, over HTTP and over gRPC, with the same questions."""

import queue

import numpy as np
import tritonclient.grpc
import tritonclient.http
from tritonclient.utils import InferenceServerException

import harness
from harness import CLASSES, MODEL, SIZE


class TritonTests:
    """What both clients can. `self.triton`: the module, `self.client`: of it."""

    def images(self, *photos):
        tensor = self.triton.InferInput("image_bytes", [len(photos)], "BYTES")
        tensor.set_data_from_numpy(np.array(photos, dtype=np.object_))
        return [tensor]

    def output(self, **how):
        return [self.triton.InferRequestedOutput("probabilities", **how)]

    def test_health(self):
        self.assertTrue(self.client.is_server_live())
        self.assertTrue(self.client.is_server_ready())
        self.assertTrue(self.client.is_model_ready(MODEL))
        self.assertTrue(self.client.is_model_ready(MODEL, "1"))
        self.assertFalse(self.client.is_model_ready("nobody"))

    def test_infer(self):
        answer = self.client.infer(MODEL, self.images(harness.photo()), request_id="a name")
        probabilities = answer.as_numpy("probabilities")
        self.assertEqual(probabilities.shape, (1, CLASSES))
        self.check_probabilities(probabilities[0])

    def test_infer_several(self):
        names = ["chelsea.png", "coffee.png", "flower.jpg"]
        answer = self.client.infer(MODEL, self.images(*map(harness.photo, names)))
        for name, row in zip(names, answer.as_numpy("probabilities")):
            self.check_probabilities(row, name)

    def test_classification(self):
        answer = self.client.infer(MODEL, self.images(harness.photo()),
                                   outputs=self.output(class_count=3))
        classes = answer.as_numpy("probabilities")
        self.assertEqual(classes.shape, (1, 3))
        self.check_classes(classes[0])

    def test_floats(self):
        # Of any floats the two ways give the same; that they are the right ones the
        # encoded images tell.
        pixels = np.random.default_rng(1).normal(size=(2, SIZE, SIZE, 3)).astype(np.float32)
        name = self.input_name()
        tensor = self.triton.InferInput(name, pixels.shape, "FP32")
        tensor.set_data_from_numpy(pixels)
        both = self.client.infer(MODEL, [tensor]).as_numpy("probabilities")
        tensor = self.triton.InferInput(name, [1, *pixels.shape[1:]], "FP32")
        tensor.set_data_from_numpy(pixels[1:])
        one = self.client.infer(MODEL, [tensor]).as_numpy("probabilities")
        self.assertEqual(both.shape, (2, CLASSES))
        np.testing.assert_allclose(both[1], one[0], atol=1e-5)

    def test_timeout(self):
        answer = self.client.infer(MODEL, self.images(harness.photo()), timeout=30_000_000)
        self.check_probabilities(answer.as_numpy("probabilities")[0])

    def test_errors(self):
        with self.assertRaisesRegex(InferenceServerException, "no model 'nobody'"):
            self.client.infer("nobody", self.images(harness.photo()))
        with self.assertRaisesRegex(InferenceServerException, "image 0: not a JPEG"):
            self.client.infer(MODEL, self.images(b"no photo"))
        with self.assertRaisesRegex(InferenceServerException, "there is no output 'x'"):
            self.client.infer(MODEL, self.images(harness.photo()),
                              outputs=[self.triton.InferRequestedOutput("x")])
        with self.assertRaisesRegex(InferenceServerException, "--load-on-demand"):
            self.client.load_model(MODEL)
        # And all is well.
        self.test_infer()


class Http(TritonTests, harness.ServerTestCase):
    triton = tritonclient.http

    def setUp(self):
        self.client = tritonclient.http.InferenceServerClient(self.http)
        self.addCleanup(self.client.close)

    def input_name(self):
        return self.client.get_model_metadata(MODEL)["inputs"][0]["name"]

    def test_metadata(self):
        server = self.client.get_server_metadata()
        self.assertEqual(server["name"], "oriel")
        self.assertIn("binary_tensor_data", server["extensions"])
        model = self.client.get_model_metadata(MODEL)
        self.assertEqual(model["inputs"][0]["shape"], [-1, SIZE, SIZE, 3])
        self.assertEqual(model["outputs"][0]["shape"], [-1, CLASSES])
        config = self.client.get_model_config(MODEL)
        self.assertEqual(config["input"][0]["dims"], [SIZE, SIZE, 3])
        self.assertGreater(config["max_batch_size"], 0)

    def test_json_instead_of_binary(self):
        answer = self.client.infer(MODEL, self.images(harness.photo()),
                                   outputs=self.output(binary_data=False))
        self.check_probabilities(answer.as_numpy("probabilities")[0])
        pixels = np.zeros((1, SIZE, SIZE, 3), np.float32)
        tensor = self.triton.InferInput(self.input_name(), pixels.shape, "FP32")
        tensor.set_data_from_numpy(pixels, binary_data=False)
        answer = self.client.infer(MODEL, [tensor], outputs=self.output(class_count=2,
                                                                        binary_data=False))
        self.assertEqual(answer.as_numpy("probabilities").shape, (1, 2))

    def test_compression(self):
        for algorithm in "gzip", "deflate":
            answer = self.client.infer(MODEL, self.images(harness.photo()),
                                       request_compression_algorithm=algorithm,
                                       response_compression_algorithm=algorithm)
            self.check_probabilities(answer.as_numpy("probabilities")[0])

    def test_async(self):
        client = tritonclient.http.InferenceServerClient(self.http, concurrency=4)
        self.addCleanup(client.close)
        asked = [client.async_infer(MODEL, self.images(harness.photo())) for _ in range(8)]
        for request in asked:
            self.check_probabilities(request.get_result().as_numpy("probabilities")[0])

    def test_repository_and_statistics(self):
        index = self.client.get_model_repository_index()
        self.assertEqual([(m["name"], m["version"], m["state"]) for m in index],
                         [(MODEL, "1", "READY")])
        self.test_infer()
        statistics = self.client.get_inference_statistics(MODEL)["model_stats"][0]
        self.assertGreaterEqual(statistics["inference_count"], 1)
        self.assertGreaterEqual(statistics["inference_stats"]["success"]["ns"], 1)


class Grpc(TritonTests, harness.ServerTestCase):
    triton = tritonclient.grpc

    def setUp(self):
        self.client = tritonclient.grpc.InferenceServerClient(self.grpc)
        self.addCleanup(self.client.close)

    def input_name(self):
        return self.client.get_model_metadata(MODEL).inputs[0].name

    def test_metadata(self):
        server = self.client.get_server_metadata()
        self.assertEqual(server.name, "oriel")
        self.assertIn("statistics", server.extensions)
        model = self.client.get_model_metadata(MODEL)
        self.assertEqual(list(model.versions), ["1"])
        self.assertEqual(list(model.inputs[0].shape), [-1, SIZE, SIZE, 3])
        self.assertEqual(list(model.outputs[0].shape), [-1, CLASSES])
        config = self.client.get_model_config(MODEL, as_json=True)["config"]
        self.assertEqual(config["input"][0]["dims"], [str(SIZE), str(SIZE), "3"])
        self.assertEqual(config["input"][0]["data_type"], "TYPE_FP32")
        self.assertGreater(config["max_batch_size"], 0)

    def test_the_answer_carries_the_id(self):
        answer = self.client.infer(MODEL, self.images(harness.photo()), request_id="a name")
        self.assertEqual(answer.get_response().id, "a name")
        self.assertEqual(answer.get_response().model_version, "1")

    def test_compression(self):
        for algorithm in "gzip", "deflate":
            answer = self.client.infer(MODEL, self.images(harness.photo()),
                                       compression_algorithm=algorithm)
            self.check_probabilities(answer.as_numpy("probabilities")[0])

    def test_async(self):
        answers = queue.Queue()
        for _ in range(8):
            self.client.async_infer(MODEL, self.images(harness.photo()),
                                    callback=lambda result, error: answers.put((result, error)))
        for _ in range(8):
            result, error = answers.get(timeout=60)
            self.assertIsNone(error)
            self.check_probabilities(result.as_numpy("probabilities")[0])

    def test_stream(self):
        answers = queue.Queue()
        self.client.start_stream(lambda result, error: answers.put((result, error)))
        photos = ["chelsea.png", "coffee.png", "flower.jpg"] * 30  # more than may be in work
        for number, name in enumerate(photos):
            self.client.async_stream_infer(MODEL, self.images(harness.photo(name)),
                                           outputs=self.output(class_count=1),
                                           request_id=str(number))
        self.client.async_stream_infer("nobody", self.images(harness.photo()))
        failed, seen = 0, set()
        for _ in range(len(photos) + 1):
            result, error = answers.get(timeout=60)
            if error is not None:
                self.assertIn("no model 'nobody'", error.message())
                failed += 1
                continue
            number = int(result.get_response().id)
            seen.add(number)
            self.check_classes(result.as_numpy("probabilities")[0], photos[number])
        self.client.stop_stream()
        self.assertEqual((failed, len(seen)), (1, len(photos)))

    def test_large_messages(self):
        # Beyond gRPC's own limit of 4 MiB, as eight images of 299 pixels are.
        pixels = np.zeros((16, SIZE, SIZE, 3), np.float32)
        tensor = self.triton.InferInput(self.input_name(), pixels.shape, "FP32")
        tensor.set_data_from_numpy(pixels)
        self.assertGreater(pixels.nbytes, 8 * 299 * 299 * 3 * 4)
        answer = self.client.infer(MODEL, [tensor])
        self.assertEqual(answer.as_numpy("probabilities").shape, (16, CLASSES))

    def test_deadline(self):
        with self.assertRaisesRegex(InferenceServerException, "Deadline"):
            self.client.infer(MODEL, self.images(*[harness.photo()] * 20), client_timeout=0.02)
        self.test_infer()

    def test_repository_and_statistics(self):
        index = self.client.get_model_repository_index()
        self.assertEqual([(m.name, m.version, m.state) for m in index.models],
                         [(MODEL, "1", "READY")])
        self.test_infer()
        statistics = self.client.get_inference_statistics(MODEL).model_stats[0]
        self.assertGreaterEqual(statistics.inference_count, 1)
        self.assertGreaterEqual(statistics.inference_stats.success.ns, 1)
        self.assertGreaterEqual(statistics.batch_stats[0].compute_infer.count, 1)

    def test_there_is_no_shared_memory(self):
        with self.assertRaisesRegex(InferenceServerException, "no shared memory"):
            self.client.get_system_shared_memory_status()
        with self.assertRaisesRegex(InferenceServerException, "no shared memory"):
            self.client.register_system_shared_memory("name", "/key", 10)


class LoadOnDemand(harness.ServerTestCase):
    FLAGS_OF_SERVER = ("--load-on-demand",)

    def check(self, client):
        client.unload_model(MODEL)
        self.assertFalse(client.is_model_ready(MODEL))
        client.load_model(MODEL)
        self.assertTrue(client.is_model_ready(MODEL))
        with self.assertRaisesRegex(InferenceServerException, "nobody"):
            client.load_model("nobody")

    def test_http(self):
        self.check(tritonclient.http.InferenceServerClient(self.http))

    def test_grpc(self):
        self.check(tritonclient.grpc.InferenceServerClient(self.grpc))


if __name__ == "__main__":
    harness.main()
