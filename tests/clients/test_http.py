"""requests and curl, as the documents show them."""

import base64
import json
import subprocess

import numpy as np
import requests

import harness
from harness import CLASSES, FLAGS, MODEL


class Requests(harness.ServerTestCase):
    def url(self, path):
        return f"http://{self.http}{path}"

    def check_top(self, rows, name="chelsea.png"):
        """[(label, probability)]"""
        for (label, probability), (_, expected_label, expected) in zip(rows, self.expected(name)):
            self.assertEqual(label, expected_label)
            self.assertAlmostEqual(probability, expected, places=4)

    def test_api_classify(self):
        answer = requests.post(self.url("/api/classify?top_k=3"), data=harness.photo()).json()
        self.check_top([(row["label"], row["probability"])
                        for row in answer["images"][0]["predictions"]])

    def test_form(self):
        names = ["chelsea.png", "coffee.png"]
        files = [("file", (name, harness.photo(name))) for name in names]
        answer = requests.post(self.url("/api/classify?top_k=3"), files=files)
        self.assertEqual(answer.status_code, 200, answer.text)
        for name, row in zip(names, answer.json()["images"], strict=True):
            self.assertEqual(row["filename"], name)
            self.check_top([(p["label"], p["probability"]) for p in row["predictions"]], name)

    def test_tensorflow_serving_predict(self):
        image = {"b64": base64.b64encode(harness.photo()).decode()}
        for body in ({"instances": [image]}, {"instances": [{"image_bytes": image}]}):
            answer = requests.post(self.url(f"/v1/models/{MODEL}:predict"), json=body).json()
            self.check_probabilities(answer["predictions"][0])
        answer = requests.post(self.url(f"/v1/models/{MODEL}/versions/1:predict"),
                               json={"inputs": {"image_bytes": [image]}}).json()
        self.check_probabilities(answer["outputs"][0])

    def test_tensorflow_serving_classify(self):
        image = {"b64": base64.b64encode(harness.photo()).decode()}
        answer = requests.post(self.url(f"/v1/models/{MODEL}:classify"),
                               json={"examples": [{"image/encoded": image}]}).json()
        self.check_top(answer["results"][0])

    def test_open_inference_json(self):
        body = {"inputs": [{"name": "image_bytes", "shape": [1], "datatype": "BYTES",
                            "data": [base64.b64encode(harness.photo()).decode()]}]}
        answer = requests.post(self.url(f"/v2/models/{MODEL}/infer"), json=body).json()
        self.check_probabilities(answer["outputs"][0]["data"])


class Curl(harness.ServerTestCase):
    def curl(self, path, *arguments, **how):
        done = subprocess.run(["curl", "-sS", "--fail-with-body", *arguments,
                               f"http://{self.http}{path}"], capture_output=True, **how)
        self.assertEqual(done.returncode, 0, done.stdout + done.stderr)
        return done.stdout

    def photo(self):
        return "@" + str(FLAGS.test_data / "photos" / "chelsea.png")

    def test_api_classify(self):
        answer = json.loads(self.curl("/api/classify", "--data-binary", self.photo()))
        self.assertEqual(answer["images"][0]["predictions"][0]["index"],
                         self.expected()[0][0])
        answer = json.loads(self.curl("/api/classify", "-F", "file=" + self.photo()))
        self.assertEqual(answer["images"][0]["predictions"][0]["index"],
                         self.expected()[0][0])

    # JSON, and behind it the floats.
    def test_open_inference_bare_body(self):
        answer = self.curl(f"/v2/models/{MODEL}/infer", "--data-binary", self.photo(),
                           "-H", "Inference-Header-Content-Length: 0",
                           "-H", "Content-Type: application/octet-stream")
        self.check_probabilities(np.frombuffer(answer[-4 * CLASSES:], "<f4"))
        self.assertEqual(json.loads(answer[:-4 * CLASSES])["model_name"], MODEL)

    def test_open_inference_classification(self):
        body = {"inputs": [{"name": "image_bytes", "shape": [1], "datatype": "BYTES",
                            "data": [base64.b64encode(harness.photo()).decode()]}],
                "outputs": [{"name": "probabilities", "parameters": {"classification": 2}}]}
        answer = json.loads(self.curl(f"/v2/models/{MODEL}/infer", "-d", "@-",
                                      input=json.dumps(body).encode()))
        self.check_classes(answer["outputs"][0]["data"])

    def test_tensorflow_serving(self):
        body = {"signature_name": "top_k",
                "instances": [{"b64": base64.b64encode(harness.photo()).decode()}]}
        answer = json.loads(self.curl(f"/v1/models/{MODEL}:predict?top_k=2", "-d", "@-",
                                      input=json.dumps(body).encode()))
        self.assertEqual(answer["predictions"][0]["indices"],
                         [index for index, _, _ in self.expected()[:2]])


if __name__ == "__main__":
    harness.main()
