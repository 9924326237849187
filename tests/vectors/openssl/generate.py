"""Makes `signatures.json`: tokens signed by OpenSSL, with its own DER of the public keys and of ECDSA signatures.

    python3 tests/vectors/openssl/generate.py > tests/vectors/openssl/signatures.json

It needs the `openssl` command (3.0 or later) and nothing else. The conversions to JWK and to `r || s` are written here
on purpose, apart from those they are compared with.
"""

import base64
import json
import subprocess
import tempfile

KINDS = [
    ("RS256", ["-algorithm", "RSA", "-pkeyopt", "rsa_keygen_bits:2048"], ["-sha256"], 1),
    ("RS384", ["-algorithm", "RSA", "-pkeyopt", "rsa_keygen_bits:3072"], ["-sha384"], 1),
    ("RS512", ["-algorithm", "RSA", "-pkeyopt", "rsa_keygen_bits:4096"], ["-sha512"], 1),
    (
        "PS256",
        ["-algorithm", "RSA", "-pkeyopt", "rsa_keygen_bits:2048"],
        ["-sha256", "-sigopt", "rsa_padding_mode:pss", "-sigopt", "rsa_pss_saltlen:32"],
        1,
    ),
    ("ES256", ["-algorithm", "EC", "-pkeyopt", "ec_paramgen_curve:P-256"], ["-sha256"], 400),
    ("ES384", ["-algorithm", "EC", "-pkeyopt", "ec_paramgen_curve:P-384"], ["-sha384"], 400),
    ("EdDSA", ["-algorithm", "ED25519"], None, 1),
]


def openssl(*arguments):
    return subprocess.run(["openssl", *arguments], check=True, capture_output=True).stdout


def b64u(data):
    return base64.urlsafe_b64encode(data).rstrip(b"=").decode()


def read_tlv(data):
    """The content of the first DER value, and what follows it."""
    length, start = data[1], 2
    if length & 0x80:
        start = 2 + (length & 0x7F)
        length = int.from_bytes(data[2:start], "big")
    return data[start : start + length], data[start + length :]


def integers(sequence):
    first, rest = read_tlv(read_tlv(sequence)[0])
    second, rest = read_tlv(rest)
    assert not rest
    return int.from_bytes(first, "big"), int.from_bytes(second, "big")


def unsigned(number):
    return number.to_bytes((number.bit_length() + 7) // 8, "big")


def jwk(algorithm, spki):
    bits = read_tlv(read_tlv(read_tlv(spki)[0])[1])[0][1:]
    if algorithm.startswith(("RS", "PS")):
        n, e = integers(bits)
        return {"kty": "RSA", "n": b64u(unsigned(n)), "e": b64u(unsigned(e))}
    if algorithm == "EdDSA":
        return {"kty": "OKP", "crv": "Ed25519", "x": b64u(bits)}
    half = (len(bits) - 1) // 2
    return {"kty": "EC", "crv": "P-" + algorithm[2:], "x": b64u(bits[1 : 1 + half]), "y": b64u(bits[1 + half :])}


def sign(algorithm, key, options, text):
    with tempfile.NamedTemporaryFile() as file:
        file.write(text.encode())
        file.flush()
        if options is None:
            return openssl("pkeyutl", "-sign", "-inkey", key, "-rawin", "-in", file.name)
        return openssl("dgst", *options, "-sign", key, file.name)


def cases(algorithm, key_options, options, tries):
    with tempfile.NamedTemporaryFile() as key:
        openssl("genpkey", *key_options, "-out", key.name)
        spki = openssl("pkey", "-in", key.name, "-pubout", "-outform", "DER")
        seen = set()
        for index in range(tries):
            header = b64u(json.dumps({"alg": algorithm, "kid": "k"}).encode())
            text = header + "." + b64u(json.dumps({"case": index}).encode())
            der = sign(algorithm, key.name, options, text)
            signature = der
            if algorithm.startswith("ES"):
                size = int(algorithm[2:]) // 8
                r, s = integers(der)
                # One case for each combination of lengths: with a sign byte, full, and short by a leading zero.
                shape = tuple((number.bit_length() + 8) // 8 for number in (r, s))
                if shape in seen:
                    continue
                seen.add(shape)
                signature = r.to_bytes(size, "big") + s.to_bytes(size, "big")
            yield {
                "alg": algorithm,
                "jwk": {"kid": "k"} | jwk(algorithm, spki),
                "jws": text + "." + b64u(signature),
                "spki": spki.hex(),
                "signature": der.hex(),
            }


if __name__ == "__main__":
    made = [case for kind in KINDS for case in cases(*kind)]
    print(json.dumps({"source": openssl("version").decode().strip(), "cases": made}, indent=1))
