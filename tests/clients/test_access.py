"""TLS and API keys over gRPC, by tritonclient."""

import pathlib
import ssl
import subprocess
import tempfile
import time

import grpc
import numpy as np
import tritonclient.grpc as triton
from tritonclient.utils import InferenceServerException

import harness
from harness import FLAGS, MODEL


def certificate(folder, name, authority=None, host="127.0.0.1"):
    """NAME.pem and NAME.key, signed by the authority or by itself."""
    key, pem = folder / f"{name}.key", folder / f"{name}.pem"
    signed = ["-CA", folder / f"{authority}.pem", "-CAkey", folder / f"{authority}.key"] \
        if authority else []
    subprocess.run(["openssl", "req", "-x509", "-newkey", "ec", "-pkeyopt",
                    "ec_paramgen_curve:P-256", "-nodes", "-days", "2", "-subj", f"/CN={name}",
                    "-addext", f"subjectAltName=IP:{host}", "-keyout", key, "-out", pem, *signed],
                   check=True, capture_output=True)
    return pem, key


class AccessTestCase(harness.ServerTestCase):
    @classmethod
    def setUpClass(cls):
        folder = tempfile.TemporaryDirectory(prefix="oriel-access-")
        cls.addClassCleanup(folder.cleanup)
        cls.files = pathlib.Path(folder.name)
        cls.prepare()
        super().setUpClass()

    def ask(self, client, **how):
        tensor = triton.InferInput("image_bytes", [1], "BYTES")
        tensor.set_data_from_numpy(np.array([harness.photo()], dtype=np.object_))
        answer = client.infer(MODEL, [tensor], **how)
        self.check_probabilities(answer.as_numpy("probabilities")[0])


class Tls(AccessTestCase):
    @classmethod
    def prepare(cls):
        certificate(cls.files, "authority")
        pem, key = certificate(cls.files, "server", "authority")
        cls.FLAGS_OF_SERVER = ("--tls-cert", pem, "--tls-key", key)

    def client(self, **how):
        client = triton.InferenceServerClient(self.grpc, ssl=True, **how)
        self.addCleanup(client.close)
        return client

    def test_the_certificate_is_checked(self):
        self.ask(self.client(root_certificates=str(self.files / "authority.pem")))
        certificate(self.files, "other")
        with self.assertRaisesRegex(InferenceServerException, "UNAVAILABLE"):
            self.ask(self.client(root_certificates=str(self.files / "other.pem")))

    def test_nothing_goes_in_the_clear(self):
        client = triton.InferenceServerClient(self.grpc)
        self.addCleanup(client.close)
        with self.assertRaisesRegex(InferenceServerException, "UNAVAILABLE"):
            client.is_server_live()

    def test_a_renewed_certificate_is_taken(self):
        def shown():
            host, port = self.grpc.split(":")
            return ssl.get_server_certificate((host, int(port)))
        before = shown()
        certificate(self.files, "next", "authority")
        (self.files / "next.key").rename(self.files / "server.key")
        (self.files / "next.pem").rename(self.files / "server.pem")
        until = time.monotonic() + 30
        while shown() == before:
            self.assertLess(time.monotonic(), until, "the certificate is still the old one")
            time.sleep(0.5)
        self.ask(self.client(root_certificates=str(self.files / "authority.pem")))


class MutualTls(AccessTestCase):
    @classmethod
    def prepare(cls):
        certificate(cls.files, "authority")
        pem, key = certificate(cls.files, "server", "authority")
        certificate(cls.files, "client", "authority")
        certificate(cls.files, "stranger")
        cls.FLAGS_OF_SERVER = ("--tls-cert", pem, "--tls-key", key, "--tls-client-ca",
                               cls.files / "authority.pem")

    def client(self, name):
        how = dict(certificate_chain=str(self.files / f"{name}.pem"),
                   private_key=str(self.files / f"{name}.key")) if name else {}
        client = triton.InferenceServerClient(
            self.grpc, ssl=True, root_certificates=str(self.files / "authority.pem"), **how)
        self.addCleanup(client.close)
        return client

    def test_only_clients_of_the_authority(self):
        self.ask(self.client("client"))
        for name in None, "stranger":
            with self.assertRaisesRegex(InferenceServerException, "UNAVAILABLE"):
                self.client(name).is_server_live()


class ApiKeys(AccessTestCase):
    @classmethod
    def prepare(cls):
        cls.keys = {}
        for scope in "use", "admin":
            done = subprocess.run(
                [FLAGS.oriel, "api-key", scope, "--scope", scope, "--file", cls.files / "keys"],
                check=True, capture_output=True, text=True)
            cls.keys[scope] = done.stdout.split()[0]
        cls.FLAGS_OF_SERVER = ("--api-keys", cls.files / "keys")

    def test_keys(self):
        client = triton.InferenceServerClient(self.grpc)
        self.addCleanup(client.close)
        self.assertTrue(client.is_server_live())
        for wrong in {}, {"x-api-key": "wrong"}:
            with self.assertRaisesRegex(InferenceServerException, "UNAUTHENTICATED"):
                self.ask(client, headers=wrong)
        self.ask(client, headers={"x-api-key": self.keys["use"]})
        self.ask(client, headers={"authorization": "Bearer " + self.keys["use"]})
        with self.assertRaisesRegex(InferenceServerException, "PERMISSION_DENIED"):
            client.load_model(MODEL, headers={"x-api-key": self.keys["use"]})
        client.load_model(MODEL, headers={"x-api-key": self.keys["admin"]})

    def test_other_clients(self):
        with grpc.insecure_channel(self.grpc) as channel:
            call = channel.unary_unary("/inference.GRPCInferenceService/RepositoryIndex")
            with self.assertRaises(grpc.RpcError) as caught:
                call(b"")
        self.assertEqual(caught.exception.code(), grpc.StatusCode.UNAUTHENTICATED)


if __name__ == "__main__":
    harness.main()
