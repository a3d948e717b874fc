"""Prometheus's own parser on what the server tells it."""

import requests
from prometheus_client.parser import text_string_to_metric_families

import harness
from harness import MODEL


class Metrics(harness.ServerTestCase):
    def scrape(self):
        """{(name, labels): value}, and the types by family."""
        answer = requests.get(f"http://{self.http}/metrics")
        self.assertEqual(answer.status_code, 200)
        families = list(text_string_to_metric_families(answer.text))
        samples = {}
        for family in families:
            self.assertNotEqual(family.type, "unknown", family.name)
            self.assertTrue(family.documentation, family.name)
            for sample in family.samples:
                key = (sample.name, tuple(sorted(sample.labels.items())))
                self.assertNotIn(key, samples)
                samples[key] = sample.value
        return samples

    def test_requests_are_counted(self):
        model = (("model", MODEL), ("version", "1"))
        wanted = {
            ("oriel_model_images_total", (("model", MODEL), ("result", "ok"), ("version", "1"))): 3,
            ("oriel_model_batch_size_sum", model): 3,
            ("oriel_model_compute_seconds_count", model): 3,
            # The parser calls every counter *_total, Triton's too.
            ("nv_inference_count_total", model): 3,
            ("oriel_requests_total", (("protocol", "api"), ("route", "/api/classify"),
                                      ("status", "200"))): 3,
            ("oriel_requests_total", (("protocol", "http"), ("route", "unknown"),
                                      ("status", "404"))): 2,
        }
        before = self.scrape()
        for _ in range(3):
            requests.post(f"http://{self.http}/api/classify",
                          data=harness.photo()).raise_for_status()
        for path in ("/nowhere", "/elsewhere"):
            self.assertEqual(requests.get(f"http://{self.http}{path}").status_code, 404)
        after = self.scrape()
        grown = {key: after[key] - before.get(key, 0) for key in wanted}
        self.assertEqual(grown, wanted)
        seconds = after["oriel_model_compute_seconds_sum", model]
        self.assertGreater(seconds, 0.001)
        self.assertGreater(after["oriel_request_duration_seconds_sum",
                                 (("protocol", "api"), ("route", "/api/classify"))], seconds)


if __name__ == "__main__":
    harness.main()
