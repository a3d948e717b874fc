"""The stubs of tensorflow-serving-api, with real TensorFlow's tensors."""

import os
import sys

sys.path.append(os.environ["ORIEL_CLIENTS_PACKAGES"])

import grpc
import numpy as np
import tensorflow as tf
from tensorflow_serving.apis import (classification_pb2, get_model_metadata_pb2,
                                     get_model_status_pb2, inference_pb2, model_management_pb2,
                                     model_service_pb2_grpc, predict_pb2,
                                     prediction_service_pb2_grpc, regression_pb2)

import harness
from harness import CLASSES, MODEL, SIZE


class TensorFlowServing(harness.ServerTestCase):
    FLAGS_OF_SERVER = ("--version-label", "stable=1")

    def setUp(self):
        self.channel = grpc.insecure_channel(self.grpc)
        self.addCleanup(self.channel.close)
        self.stub = prediction_service_pb2_grpc.PredictionServiceStub(self.channel)
        self.models_stub = model_service_pb2_grpc.ModelServiceStub(self.channel)

    def request(self, tensor, signature="", name="image_bytes"):
        request = predict_pb2.PredictRequest()
        request.model_spec.name = MODEL
        request.model_spec.signature_name = signature
        request.inputs[name].CopyFrom(tensor)
        return request

    def example(self, name="chelsea.png", feature="image/encoded"):
        def bytes_feature(value):
            return tf.train.Feature(bytes_list=tf.train.BytesList(value=[value]))
        return tf.train.Example(features=tf.train.Features(feature={
            feature: bytes_feature(harness.photo(name)),
            "image/format": bytes_feature(b"png"),
            "image/height": tf.train.Feature(int64_list=tf.train.Int64List(value=[300]))}))

    def refused(self, code, text, call, request):
        with self.assertRaises(grpc.RpcError) as caught:
            call(request)
        self.assertEqual(caught.exception.code(), code)
        self.assertIn(text, caught.exception.details())

    def test_predict_images(self):
        names = ["chelsea.png", "coffee.png"]
        answer = self.stub.Predict(self.request(
            tf.make_tensor_proto([harness.photo(name) for name in names])))
        self.assertEqual(answer.model_spec.name, MODEL)
        self.assertEqual(answer.model_spec.version.value, 1)
        self.assertEqual(answer.model_spec.signature_name, "serving_default")
        probabilities = tf.make_ndarray(answer.outputs["probabilities"])
        self.assertEqual(probabilities.shape, (2, CLASSES))
        for row, name in zip(probabilities, names):
            self.check_probabilities(row, name)

    def test_predict_a_scalar(self):
        answer = self.stub.Predict(self.request(tf.make_tensor_proto(harness.photo())))
        self.check_probabilities(tf.make_ndarray(answer.outputs["probabilities"])[0])

    # As a graph's constant has them: all lengths, then all bytes. Real TensorFlow reads the
    # same bytes.
    def test_strings_as_content(self):
        photos = [harness.photo("chelsea.png"), harness.photo("coffee.png")]
        tensor = tf.make_tensor_proto(photos)

        def varint(number):
            out = b""
            while number > 127:
                out += bytes([number % 128 + 128])
                number //= 128
            return out + bytes([number])

        tensor.tensor_content = b"".join(varint(len(p)) for p in photos) + b"".join(photos)
        del tensor.string_val[:]
        graph = tf.compat.v1.GraphDef()
        node = graph.node.add(name="images", op="Const")
        node.attr["dtype"].type = tf.string.as_datatype_enum
        node.attr["value"].tensor.CopyFrom(tensor)
        with tf.Graph().as_default() as real, tf.compat.v1.Session(graph=real) as session:
            tf.import_graph_def(graph, name="")
            self.assertEqual(list(session.run("images:0")), photos)
        answer = self.stub.Predict(self.request(tensor))
        rows = tf.make_ndarray(answer.outputs["probabilities"])
        self.check_probabilities(rows[0], "chelsea.png")
        self.check_probabilities(rows[1], "coffee.png")

    def test_predict_floats(self):
        pixels = np.random.default_rng(1).normal(size=(2, SIZE, SIZE, 3)).astype(np.float32)
        content = tf.make_tensor_proto(pixels)
        self.assertTrue(content.tensor_content)
        values = tf.make_tensor_proto(0.0, shape=pixels.shape)
        del values.float_val[:]
        values.float_val.extend(pixels.ravel())
        answers = [tf.make_ndarray(self.stub.Predict(self.request(tensor)).outputs["probabilities"])
                   for tensor in (content, values)]
        self.assertEqual(answers[0].shape, (2, CLASSES))
        np.testing.assert_allclose(answers[0], answers[1], atol=1e-6)

    def test_top_k(self):
        request = self.request(tf.make_tensor_proto([harness.photo()]), "top_k")
        answer = self.stub.Predict(request, metadata=[("top-k", "3")])
        self.assertEqual(set(answer.outputs), {"classes", "scores", "indices"})
        expected = self.expected()
        self.assertEqual(tf.make_ndarray(answer.outputs["indices"]).tolist(),
                         [[index for index, _, _ in expected]])
        self.assertEqual([label.decode() for label in tf.make_ndarray(answer.outputs["classes"])[0]],
                         [label for _, label, _ in expected])
        np.testing.assert_allclose(tf.make_ndarray(answer.outputs["scores"])[0],
                                   [p for _, _, p in expected], atol=1e-4)
        request.output_filter.append("indices")
        answer = self.stub.Predict(request)
        self.assertEqual(list(answer.outputs), ["indices"])
        self.assertEqual(answer.outputs["indices"].tensor_shape.dim[1].size, 5)

    def test_versions_and_labels(self):
        request = self.request(tf.make_tensor_proto([harness.photo()]))
        request.model_spec.version.value = 1
        self.stub.Predict(request)
        request.model_spec.version_label = "stable"
        self.stub.Predict(request)
        request.model_spec.version_label = "canary"
        self.refused(grpc.StatusCode.NOT_FOUND, "canary", self.stub.Predict, request)
        request.model_spec.version.value = 2
        self.refused(grpc.StatusCode.NOT_FOUND, "2", self.stub.Predict, request)

    def test_classify(self):
        request = classification_pb2.ClassificationRequest()
        request.model_spec.name = MODEL
        request.input.example_list.examples.extend(
            [self.example(), self.example("coffee.png", "image_bytes")])
        answer = self.stub.Classify(request)
        for name, row in zip(("chelsea.png", "coffee.png"), answer.result.classifications):
            self.assertEqual(len(row.classes), 5)
            for found, (_, label, probability) in zip(row.classes, self.expected(name)):
                self.assertEqual(found.label, label)
                self.assertAlmostEqual(found.score, probability, places=4)

    def test_multi_inference(self):
        request = inference_pb2.MultiInferenceRequest()
        task = request.tasks.add(method_name="tensorflow/serving/classify")
        task.model_spec.name = MODEL
        request.input.example_list.examples.append(self.example())
        answer = self.stub.MultiInference(request)
        found = answer.results[0].classification_result.classifications[0].classes[0]
        self.assertEqual(found.label, self.expected()[0][1])
        task.method_name = "tensorflow/serving/regress"
        self.refused(grpc.StatusCode.INVALID_ARGUMENT, "no regression", self.stub.MultiInference,
                     request)

    def test_metadata(self):
        request = get_model_metadata_pb2.GetModelMetadataRequest()
        request.model_spec.name = MODEL
        self.refused(grpc.StatusCode.INVALID_ARGUMENT, "metadata_field",
                     self.stub.GetModelMetadata, request)
        request.metadata_field.append("signature_def")
        answer = self.stub.GetModelMetadata(request)
        self.assertEqual(answer.model_spec.version.value, 1)
        signatures = get_model_metadata_pb2.SignatureDefMap()
        self.assertTrue(answer.metadata["signature_def"].Unpack(signatures))
        default = signatures.signature_def["serving_default"]
        self.assertEqual(default.method_name, "tensorflow/serving/predict")
        self.assertEqual(default.inputs["image_bytes"].dtype, tf.string.as_datatype_enum)
        self.assertEqual([d.size for d in default.outputs["probabilities"].tensor_shape.dim],
                         [-1, CLASSES])
        self.assertEqual(signatures.signature_def["top_k"].outputs["indices"].dtype,
                         tf.int32.as_datatype_enum)

    def test_model_status(self):
        request = get_model_status_pb2.GetModelStatusRequest()
        request.model_spec.name = MODEL
        answer = self.models_stub.GetModelStatus(request)
        version, = answer.model_version_status
        self.assertEqual(version.version, 1)
        self.assertEqual(version.state, get_model_status_pb2.ModelVersionStatus.AVAILABLE)
        self.assertEqual(version.status.error_code, 0)
        request.model_spec.name = "nobody"
        self.refused(grpc.StatusCode.NOT_FOUND, "nobody", self.models_stub.GetModelStatus, request)
        self.refused(grpc.StatusCode.UNIMPLEMENTED, "folders",
                     self.models_stub.HandleReloadConfigRequest,
                     model_management_pb2.ReloadConfigRequest())

    def test_errors(self):
        invalid = grpc.StatusCode.INVALID_ARGUMENT
        predict = self.stub.Predict
        photo = tf.make_tensor_proto([harness.photo()])
        self.refused(invalid, "no signature 'x'", predict, self.request(photo, "x"))
        self.refused(invalid, "no input 'x'", predict, self.request(photo, name="x"))
        self.refused(invalid, "has 0 inputs", predict, predict_pb2.PredictRequest())
        self.refused(invalid, "DT_INT32", predict, self.request(tf.make_tensor_proto([1])))
        self.refused(invalid, "image 1: not a JPEG", predict,
                     self.request(tf.make_tensor_proto([harness.photo(), b"no photo"])))
        self.refused(invalid, "no regression", self.stub.Regress,
                     regression_pb2.RegressionRequest())
        filtered = self.request(photo)
        filtered.output_filter.append("x")
        self.refused(invalid, "no output 'x'", predict, filtered)


if __name__ == "__main__":
    harness.main()
